// What does a step cost, in money and in energy?
//
//   money  = price per device and hour x devices x t
//   energy = power per device x devices x t         all-in power of the node where published; of a wafer, its system's
// A price or a power that the machine's profile does not state is absent, not zero. Both grow with the time alone: on
// one number of devices the cheapest layout is the quickest, and numbers of devices are what they tell apart.
#pragma once

#include <optional>
#include <string>

#include "plan/evaluate.hpp"

namespace moeline {

struct Bill {
  double tokens = 0;            // of the step
  std::optional<double> money;  // in `currency`
  std::string currency;
  std::optional<Joules> energy;

  std::optional<double> money_per_million_tokens() const;
  std::optional<double> kilowatt_hours_per_million_tokens() const;
};
Bill bill(const Scenario& scenario, const TrainEvaluation& train);

// Why there will be no such figure, and the --set that gives it; empty if there will be one.
std::string missing_price(const Cluster& cluster);
std::string missing_power(const Cluster& cluster);

}  // namespace moeline
