#include "fit/few_points.hpp"

#include <catch2/catch.hpp>
#include <cmath>
#include <set>

#include "error_of.hpp"

using namespace moeline;
using Catch::WithinRel;

namespace {

// t = launch + work / rate: small work is all launch, large work all rate.
FamilyData sized(double launch, double rate, double shape) {
  FamilyData data;
  data.key = {"b200-sxm", "gemm", "test", "bfloat16"};
  data.parameters = {{"launch", "us", 5, 0.1, 100}, {"tensor", "", 10, 0.1, 1000}, {"curve", "", 1, 0.5, 2}};
  const auto predicted = [](std::span<const double> v, std::size_t row) {
    return v[0] + std::pow(std::exp2(static_cast<double>(row)), v[2]) / v[1];
  };
  for (std::size_t row = 0; row < 24; ++row) {
    const std::vector<double> truth{launch, rate, shape};
    data.observations.measured.push_back(predicted(truth, row));
    data.group.push_back(static_cast<int>(row));
  }
  data.observations.predicted = predicted;
  return data;
}

FamilyFit page_of(const FamilyData& data, std::vector<double> values) {
  FamilyFit page{.key = data.key, .parameters = data.parameters};
  page.fit.values = std::move(values);
  return page;
}

}  // namespace

TEST_CASE("points are spread over the regimes, not over the rows", "[unit]") {
  const FamilyData data = sized(5, 10, 1);
  // Launch and work balance at 2^r = 50: rows 0..5 are launch-bound, 6..23 rate-bound.
  const std::vector<std::size_t> rows = choose_points(data, {5, 10, 1}, 6, {"launch", "tensor"});
  REQUIRE(rows.size() == 6);
  CHECK(std::count_if(rows.begin(), rows.end(), [](std::size_t row) { return row <= 5; }) == 3);
  CHECK(std::set<std::size_t>(rows.begin(), rows.end()).size() == 6);
  // A regime with too few rows leaves its share to the others.
  CHECK(choose_points(data, {5, 10, 1}, 18, {"launch", "tensor"}).size() == 18);
}

TEST_CASE("a few points find the scale factors and leave the rest to the base page", "[unit]") {
  const FamilyData data = sized(8, 40, 1);
  const FamilyFit base = page_of(data, {5, 10, 1});
  const FamilyFit page =
      few_point_page(base, data, choose_points(data, base.fit.values, 8, {"launch", "tensor"}), {"launch", "tensor"});
  CHECK_THAT(page.fit.values[0], WithinRel(8.0, 0.02));
  CHECK_THAT(page.fit.values[1], WithinRel(40.0, 0.02));
  CHECK(page.fit.values[2] == 1);
  CHECK(page.fit.at_bound[2]);  // not identified by these rows
  CHECK(page.held_out.n == 16);
  CHECK(page.held_out.mean < 0.02);
}

TEST_CASE("a base page of other equations is refused", "[unit]") {
  const FamilyData data = sized(8, 40, 1);
  FamilyFit base = page_of(data, {5, 10, 1});
  base.parameters[1].name = "memory";
  CHECK(error_of([&] { few_point_page(base, data, {0, 1, 2}); }).find("has not the parameters") != std::string::npos);
}
