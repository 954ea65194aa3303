#include "routing/imbalance.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "error.hpp"

namespace moeline {

double mean_of(const std::vector<double>& loads) {
  return std::accumulate(loads.begin(), loads.end(), 0.0) / static_cast<double>(loads.size());
}

double max_violation(const std::vector<double>& loads) {
  const double mean = mean_of(loads);
  return mean > 0 ? std::max(0.0, *std::max_element(loads.begin(), loads.end()) / mean - 1) : 0;
}

std::vector<double> summed(const std::vector<double>& expert_loads, std::size_t domains) {
  MOELINE_EXPECT(domains > 0 && expert_loads.size() % domains == 0);
  const std::size_t share = expert_loads.size() / domains;
  std::vector<double> loads(domains);
  for (std::size_t j = 0; j < expert_loads.size(); ++j) loads[j / share] += expert_loads[j];
  return loads;
}

double largest_of_normals(double count) {
  if (count <= 1) return 0;
  // Integral over z of 1 - Phi^n (above 0) and - Phi^n (below), by the trapezoid rule.
  constexpr double kStep = 0.02;
  constexpr int kEnd = 450;  // nine deviations
  double sum = 0;
  for (int i = -kEnd; i <= kEnd; ++i) {
    const double z = i * kStep;
    const double all_below = std::pow(0.5 * std::erfc(-z / std::sqrt(2.0)), count);
    sum += kStep * ((i >= 0 ? 1 : 0) - all_below);
  }
  return sum - 0.5 * kStep;  // the jump at 0 counts half
}

}  // namespace moeline
