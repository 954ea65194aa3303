// How else can a router be balanced? The other ways to price experts, and two that choose without prices.
//
//   sign (loss-free)   beta_j <- beta_j + rate sign(load_j - mean)             DeepSeek-V3: rate 1e-3, arXiv 2408.15664
//   Sinkhorn           row and column sums of exp(s / temperature) made k and m k / n in turn; beta from the columns
//   auxiliary loss     what it leaves is an input: loads drawn towards the mean until MaxVio is what was measured
//   expert choice      every expert takes its best m k / n tokens              arXiv 2202.09368
//   capacity factor    an expert takes at most CF m k / n rows, the rest are dropped
#pragma once

#include <vector>

#include "routing/scores.hpp"

namespace moeline {

// One step of the sign rule.
std::vector<float> sign_prices(std::span<const float> prices, const std::vector<double>& loads, double rate);

struct Sinkhorn {
  double temperature = 1;
  int iterations = 10;
};
std::vector<float> sinkhorn_prices(const RouterScores& scores, const Sinkhorn& sinkhorn,
                                   const ForBlocks& blocks = one_after_another);

// Tokens per number of experts that took them: all experts are full, tokens are not.
std::vector<std::int64_t> tokens_by_takers(const RouterScores& scores);

// Loads with the given MaxVio in the same proportions to each other; those at or below it already, as they are.
std::vector<double> with_violation(std::vector<double> loads, double violation);

struct Capped {
  std::vector<double> loads;
  double drop_rate = 0;  // dropped rows over all
};
Capped capped(std::vector<double> loads, double capacity_factor);

}  // namespace moeline
