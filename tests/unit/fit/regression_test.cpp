#include "fit/regression.hpp"

#include <catch2/catch.hpp>
#include <cmath>

namespace moeline {
namespace {

// t = launch + bytes / bandwidth, with a little noise that averages out.
struct Line {
  std::vector<double> bytes;
  Observations observations;
};

Line line(double launch, double bandwidth) {
  Line data;
  for (int i = 0; i < 200; ++i) {
    const double bytes = std::pow(10.0, 3 + 6.0 * i / 199);
    data.bytes.push_back(bytes);
    data.observations.measured.push_back((launch + bytes / bandwidth) * (i % 2 == 0 ? 1.02 : 0.98));
  }
  data.observations.predicted = [bytes = data.bytes](std::span<const double> v, std::size_t row) {
    return v[0] + bytes[row] / v[1];
  };
  return data;
}

const std::vector<Parameter> kParameters{{"launch", "us", 3, 0.1, 100, 0.1}, {"bandwidth", "MB/s", 1e4, 1e2, 1e7, 0.1}};

}  // namespace

TEST_CASE("a launch time and a bandwidth are recovered from noisy times", "[unit]") {
  const Line data = line(7, 5e5);
  const Fit fitted = fit(kParameters, data.observations, sample(200, 200, 0));
  CHECK_THAT(fitted.values[0], Catch::Matchers::WithinRel(7.0, 0.02));  // noise +-2 %, 100 pairs
  CHECK_THAT(fitted.values[1], Catch::Matchers::WithinRel(5e5, 0.02));
  CHECK_FALSE(fitted.at_bound[0]);
}

TEST_CASE("one measurement in twenty that is three times too slow moves a fit by less than three percent", "[unit]") {
  Line data = line(7, 5e5);
  for (std::size_t i = 0; i < data.observations.measured.size(); i += 20) data.observations.measured[i] *= 3;
  const Fit fitted = fit(kParameters, data.observations, sample(200, 200, 0));
  CHECK_THAT(fitted.values[1], Catch::Matchers::WithinRel(5e5, 0.03));
}

TEST_CASE("a parameter that the data push past its bound is reported as not identified", "[unit]") {
  const Line data = line(7, 5e5);
  std::vector<Parameter> tight = kParameters;
  tight[0].low = 1;
  tight[0].high = 4;
  CHECK(fit(tight, data.observations, sample(200, 200, 0)).at_bound[0]);
}

TEST_CASE("rows of one group share a fold, and folds are alike in size", "[unit]") {
  std::vector<int> group;
  for (int i = 0; i < 200; ++i) group.push_back(i / 20);
  const std::vector<int> fold = folds(group, 5);
  std::vector<int> rows(5);
  for (std::size_t i = 0; i < 200; ++i) {
    CHECK(fold[i] == fold[i / 20 * 20]);
    ++rows[static_cast<std::size_t>(fold[i])];
  }
  CHECK(rows == std::vector<int>(5, 40));  // 10 groups of 20 rows over 5 folds
}

TEST_CASE("a sample is the same every time, has no row twice, and is everything when it may be", "[unit]") {
  const std::vector<std::size_t> first = sample(1000, 50, 3);
  CHECK(first == sample(1000, 50, 3));
  CHECK(first.size() == 50);
  CHECK(std::adjacent_find(first.begin(), first.end()) == first.end());
  CHECK(sample(10, 50, 3).size() == 10);
}

}  // namespace moeline
