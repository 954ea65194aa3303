#include "routing/balancers.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "routing/imbalance.hpp"

namespace moeline {

std::vector<float> sign_prices(std::span<const float> prices, const std::vector<double>& loads, double rate) {
  const double mean = mean_of(loads);
  std::vector<float> next(prices.begin(), prices.end());
  for (std::size_t j = 0; j < next.size(); ++j)
    next[j] += static_cast<float>(rate * ((loads[j] > mean ? 1 : 0) - (loads[j] < mean ? 1 : 0)));
  return next;
}

std::vector<float> sinkhorn_prices(const RouterScores& scores, const Sinkhorn& sinkhorn, const ForBlocks& blocks) {
  std::vector<double> factor(scores.experts, 1.0);  // of every column
  for (int iteration = 0; iteration < sinkhorn.iterations; ++iteration) {
    std::vector<std::vector<double>> sums(kTokenBlocks);
    blocks(kTokenBlocks, [&](std::size_t block) {
      std::vector<double>& sum = sums[block];
      sum.assign(scores.experts, 0);
      std::vector<double> weight(scores.experts);
      const TokenRange range = token_block(scores, block);
      for (std::size_t i = range.first; i < range.last; ++i) {
        const std::span<const float> row = scores.of(i);
        const float most = *std::max_element(row.begin(), row.end());
        double total = 0;
        for (std::size_t j = 0; j < row.size(); ++j)
          total += weight[j] = factor[j] * std::exp((row[j] - most) / sinkhorn.temperature);
        for (std::size_t j = 0; j < row.size(); ++j) sum[j] += static_cast<double>(scores.top_k) * weight[j] / total;
      }
    });
    for (std::size_t j = 0; j < scores.experts; ++j) {
      double sum = 0;
      for (const std::vector<double>& part : sums) sum += part[j];
      factor[j] *= scores.quota() / std::max(sum, 1e-300);
    }
  }
  std::vector<float> prices(scores.experts);
  for (std::size_t j = 0; j < prices.size(); ++j)
    prices[j] = static_cast<float>(-sinkhorn.temperature * std::log(std::max(factor[j], 1e-300)));
  return prices;
}

std::vector<std::int64_t> tokens_by_takers(const RouterScores& scores) {
  std::vector<std::int64_t> takers(scores.tokens());
  std::vector<std::size_t> order(scores.tokens());
  const std::size_t quota = scores.tokens() * scores.top_k / scores.experts;
  for (std::size_t j = 0; j < scores.experts; ++j) {
    std::iota(order.begin(), order.end(), std::size_t{0});
    const auto end = order.begin() + static_cast<std::ptrdiff_t>(quota);
    std::nth_element(order.begin(), end, order.end(),
                     [&](std::size_t a, std::size_t b) { return scores.of(a)[j] > scores.of(b)[j]; });
    for (auto taken = order.begin(); taken != end; ++taken) ++takers[*taken];
  }
  std::vector<std::int64_t> tokens(scores.experts + 1);
  for (const std::int64_t taken : takers) ++tokens[static_cast<std::size_t>(taken)];
  return tokens;
}

std::vector<double> with_violation(std::vector<double> loads, double violation) {
  const double now = max_violation(loads), mean = mean_of(loads);
  if (now <= violation) return loads;
  for (double& load : loads) load = mean + (load - mean) * violation / now;
  return loads;
}

Capped capped(std::vector<double> loads, double capacity_factor) {
  const double sum = std::accumulate(loads.begin(), loads.end(), 0.0), capacity = capacity_factor * mean_of(loads);
  double kept = 0;
  for (double& load : loads) kept += load = std::min(load, capacity);
  return {std::move(loads), sum > 0 ? 1 - kept / sum : 0};
}

}  // namespace moeline
