// Which input gives a wanted answer?
//
// Outwards from the present value by factors of two, and up to where nothing runs, until the answer crosses what is
// wanted, then inwards: secant steps kept inside the bracket (Illinois) for what is continuous, halving over whole numbers
// for the rest. Samples between show whether the answer is monotone; of several crossings the one nearest to the present
// value is taken. Where the answer never crosses, there is none, and the range that it reached says so.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "plan/wanted.hpp"

namespace moeline {

struct Sample {
  double input = 0, answer = 0;
};

struct RootProblem {
  std::function<std::optional<double>(double)> answer;  // nullopt: none there (infeasible)
  double start = 1, wanted = 0;
  bool integer = false;
  std::optional<double> from{}, to{};  // where to look; else by factors of two, up to 2^12 either way
};

struct Root {
  std::optional<Sample> found;         // nearest to what is wanted, for whole numbers
  std::optional<Sample> below, above;  // whole numbers: both sides; else the two sides of a jump
  bool jumps = false;                  // continuous, but the answer skips what is wanted
  bool monotone = true;
  int crossings = 0;
  std::vector<Sample> samples;  // of the search, ascending; empty if nothing can run
};

Root root_of(const RootProblem& problem);

// One number of a scenario: 4.8 in TB/s at /hardware/device/hbm_bandwidth.
struct VariedInput {
  std::string pointer;
  double value = 0;  // in `unit`
  std::string unit;  // empty: dimensionless
  bool integer = false;

  std::string text(double value) const;        // "4.8 TB/s", to twelve digits
  double read(const std::string& text) const;  // the same back, in any unit of the dimension; SpecError
};
VariedInput varied_input(const Json& scenario, const std::string& origin, const std::string& pointer);

// The problem of varying one input of a scenario, calibration held.
RootProblem root_problem(const Json& scenario, const std::string& origin, const Calibration& calibration,
                         const VariedInput& input, const Wanted& wanted);

}  // namespace moeline
