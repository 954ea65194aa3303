// How much fuller is the fullest rank because tokens choose one by one?
//
//   1 + sqrt(preference^2 + (c chance)^2)     preference, chance: the overload of each alone, less one
//   c = sqrt(2) under prices fitted to one batch and used on another (twice the variance), else 1
// Two independent causes that seldom favour the same rank; ours, checked by simulation (docs/theory/routing.md).
#pragma once

#include <cmath>

#include "routing/load.hpp"

namespace moeline {

// `tokens` enter the whole group of `ranks` (or of other equal shares of the experts) at a time.
inline double with_chance(double overload, const MoeFfn& moe, Balancer balancer, double tokens, double ranks) {
  const double chance = random_overload(moe, tokens, ranks) - 1;
  return 1 + std::hypot(overload - 1, chance * (balancer == Balancer::quantile ? std::sqrt(2.0) : 1));
}

}  // namespace moeline
