// Which prices balance the experts? Those of the dual of the balanced assignment, by exact minimisation block by block.
//
//   max sum x s,  sum_j x_ij = k,  sum_i x_ij = m k / n      (m tokens, n experts)
//   alpha_i <- (k+1)-th largest over j of s_ij - beta_j       beta_j <- (m k / n + 1)-th largest over i of s_ij -
//   alpha_i
// No step falls, none has a length to tune. In training one alternation per step: tokens are routed with the prices of
// the step before, since fresh ones would know later tokens. Sources: Jianlin Su, "MoE tour 6" and "7" (kexue.fm
// archives 11619, 11626); histogram: Kimi K3 report, section 2.3.3, in NVIDIA TransformerEngine PR 3395.
//
// Exact on many tokens in one pass per alternation: a sample brackets every beta_j, the pass counts what lies above the
// bracket and keeps what lies in it.
#pragma once

#include "routing/scores.hpp"

namespace moeline {

struct HistogramBins {
  std::size_t bins = 1000;
  double reach = 1;  // bins span the present prices and so much to either side
};

// One alternation: the prices that follow.
std::vector<float> next_prices(const RouterScores& scores, std::span<const float> prices,
                               const ForBlocks& blocks = one_after_another);
// The same through counts, which ranks can add up: an error of about one bin.
std::vector<float> next_prices(const RouterScores& scores, std::span<const float> prices, const HistogramBins& bins,
                               const ForBlocks& blocks = one_after_another);
// Every device its own tokens (equal shares, in order), then the mean: what fits without gathering scores.
std::vector<float> next_prices_by_device(const RouterScores& scores, std::span<const float> prices,
                                         std::size_t devices);

// Tokens choose what beats its price, k of them only on average: the (m k / n + 1)-th largest of every column.
std::vector<float> dynamic_prices(const RouterScores& scores);
std::vector<double> dynamic_loads(const RouterScores& scores, std::span<const float> prices);

}  // namespace moeline
