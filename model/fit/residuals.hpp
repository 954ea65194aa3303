// How wrong are predictions, in the figures people compare by? Errors are predicted / measured - 1: minus is too fast.
#pragma once

#include <span>
#include <vector>

namespace moeline {

struct ErrorSummary {
  std::size_t n = 0;
  double mean = 0, median = 0, p90 = 0;  // of the absolute error
  double bias = 0;                        // signed mean
};
ErrorSummary summarise(std::span<const double> log_residuals);

// Empirical 10th and 90th percentile of log(measured / predicted): the factors that make a prediction a range.
struct Band {
  double low = 0, high = 0;
};
Band band(std::span<const double> log_residuals);
// Share of measurements inside predicted x [exp(low), exp(high)].
double coverage(std::span<const double> log_residuals, Band band);

double quantile(std::vector<double> values, double share);

}  // namespace moeline
