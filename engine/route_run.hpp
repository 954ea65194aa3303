// What does every balancer make of these scores, or of these loads?
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "routing/load.hpp"
#include "routing/scores.hpp"

namespace moeline {

struct RouteSettings {
  std::size_t ranks = 1;
  int iterations = 5;  // of quantiles and Sinkhorn; the sign rule has ten times as many, with small steps
  double capacity_factor = 1.25;
  std::size_t redundant = 0;  // expert slots beyond one each, of EPLB; rounded up to whole ranks
  double aux_loss_violation = 0, loss_free_violation = 0;  // what they leave of shares
  int threads = 1;
  std::optional<Balancer> only{};
};

struct BalancedLoads {
  std::string balancer;
  std::vector<double> loads{};  // of every expert; of the first layer where there are several
  std::vector<double> rank_loads{};
  double max_violation = 0;              // over experts
  double overload = 1;                   // hottest rank over the mean
  std::optional<double> overload_p90{};  // over layers
  double drop_rate = 0;
  int iterations = 0;
  std::optional<double> dual_gap{};  // (dual - a balanced choice) / dual: how far from the optimum at most
};

std::vector<BalancedLoads> balanced(const RouterScores& scores, const RouteSettings& settings);
// Means over layers. Shares have no chance in them: `tokens` that choose at a time add it; of 0, it is left out.
std::vector<BalancedLoads> balanced(const ExpertShares& layers, const MoeFfn& moe, double tokens,
                                    const RouteSettings& settings);

}  // namespace moeline
