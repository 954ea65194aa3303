#include "fit/residuals.hpp"

#include <algorithm>
#include <cmath>

namespace moeline {

double quantile(std::vector<double> values, double share) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const double at = share * static_cast<double>(values.size() - 1);
  const auto below = static_cast<std::size_t>(at);
  const std::size_t above = std::min(below + 1, values.size() - 1);
  return values[below] + (at - static_cast<double>(below)) * (values[above] - values[below]);
}

ErrorSummary summarise(std::span<const double> log_residuals) {
  ErrorSummary s;
  s.n = log_residuals.size();
  if (s.n == 0) return s;
  std::vector<double> absolute;
  for (const double residual : log_residuals) {
    const double error = std::expm1(residual);
    absolute.push_back(std::abs(error));
    s.mean += std::abs(error) / static_cast<double>(s.n);
    s.bias += error / static_cast<double>(s.n);
  }
  s.median = quantile(absolute, 0.5);
  s.p90 = quantile(absolute, 0.9);
  return s;
}

Band band(std::span<const double> log_residuals) {
  std::vector<double> flipped;
  for (const double residual : log_residuals) flipped.push_back(-residual);
  return {quantile(flipped, 0.1), quantile(flipped, 0.9)};
}

double coverage(std::span<const double> log_residuals, Band band) {
  if (log_residuals.empty()) return 0;
  const auto inside = std::count_if(log_residuals.begin(), log_residuals.end(),
                                    [&](double r) { return -r >= band.low && -r <= band.high; });
  return static_cast<double>(inside) / static_cast<double>(log_residuals.size());
}

}  // namespace moeline
