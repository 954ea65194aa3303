#include "fit/residuals.hpp"

#include <catch2/catch.hpp>
#include <cmath>

namespace moeline {

TEST_CASE("errors are relative to the measured value and keep their sign in the bias", "[unit]") {
  // predicted / measured = 1.1 and 0.8: errors +10 % and -20 %, mean of absolutes 15 %, bias -5 %.
  const std::vector<double> residuals{std::log(1.1), std::log(0.8)};
  const ErrorSummary summary = summarise(residuals);
  CHECK(summary.n == 2);
  CHECK_THAT(summary.mean, Catch::Matchers::WithinRel(0.15, 1e-12));
  CHECK_THAT(summary.bias, Catch::Matchers::WithinRel(-0.05, 1e-12));
  CHECK_THAT(summary.median, Catch::Matchers::WithinRel(0.15, 1e-12));
}

TEST_CASE("a quantile lies between its neighbours in proportion", "[unit]") {
  CHECK_THAT(quantile({4, 1, 3, 2}, 0.5), Catch::Matchers::WithinRel(2.5, 1e-12));
  CHECK_THAT(quantile({10, 20}, 0.9), Catch::Matchers::WithinRel(19.0, 1e-12));
}

TEST_CASE("the band of a set of residuals covers eight in ten of them", "[unit]") {
  std::vector<double> residuals;
  for (int i = 0; i < 1000; ++i) residuals.push_back(0.001 * (i * 7919 % 1000) - 0.3);  // skewed: -0.3 .. 0.7
  const Band eighty = band(residuals);
  CHECK(eighty.low < eighty.high);
  CHECK_THAT(coverage(residuals, eighty), Catch::Matchers::WithinAbs(0.8, 0.005));
}

}  // namespace moeline
