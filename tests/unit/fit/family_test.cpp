#include "fit/family.hpp"

#include <catch2/catch.hpp>
#include <cmath>

#include "fit/surface_fit.hpp"

namespace moeline {
namespace {

// t = launch + bytes / bandwidth over six decades of bytes, 20 rows a group, times a factor of the row.
template <class Factor>
FamilyData family(Factor factor) {
  FamilyData data{.key = {"h200-sxm", "pass", "test", "bf16"}};
  data.parameters = {{"launch", "us", 3, 0.1, 100, 0.1}, {"bandwidth", "MB/s", 1e4, 1e2, 1e7, 0.1}};
  for (int i = 0; i < 400; ++i) {
    const double bytes = std::pow(10.0, 3 + 6.0 * i / 399);
    data.size.push_back(bytes);
    data.group.push_back(i % 20);
    data.coordinates.push_back({std::log2(bytes)});
    data.observations.measured.push_back((7 + bytes / 5e5) * factor(i));
  }
  data.observations.predicted = [bytes = data.size](std::span<const double> v, std::size_t row) {
    return v[0] + bytes[row] / v[1];
  };
  return data;
}

double noise(int i) { return i % 2 == 0 ? 1.02 : 0.98; }

}  // namespace

TEST_CASE("a held-out error comes from fits that never saw the row's group", "[unit]") {
  // One group is twice as slow: a fit that had seen it would bend towards it, one that had not is half its time.
  const FamilyData data = family([](int i) { return i % 20 == 3 ? 2.0 : noise(i); });
  const FamilyFit page = fit_family(data);
  for (std::size_t i = 3; i < 400; i += 20)
    CHECK(page.held_out_us[i] / data.observations.measured[i] == Approx(0.5).epsilon(0.05));
}

TEST_CASE("a family of one group has no held-out error rather than none at all", "[unit]") {
  FamilyData data = family(noise);
  data.group.assign(400, 0);
  const FamilyFit page = fit_family(data);
  CHECK(page.held_out.n == 0);
  CHECK(page.fitted.n == 400);
  CHECK(page.spread.high > 0);
}

TEST_CASE("size classes split by predicted time, and four of five measurements lie inside their bands", "[unit]") {
  // Small rows scatter by +-20 %, large ones by +-2 %: one band for all would hold nearly every large row.
  const FamilyFit page = fit_family(family([](int i) { return 1 + (i < 200 ? 0.2 : 0.02) * std::sin(12.9898 * i); }));
  REQUIRE(page.classes.size() == 4);
  CHECK(page.classes[0].spread.high > 5 * page.classes[3].spread.high);
  CHECK(page.coverage > 0.7);
  CHECK(page.coverage < 0.9);
}

TEST_CASE("the next decade is judged by a fit of the smaller sizes", "[unit]") {
  // Above 1e8 bytes a second, slower regime begins that smaller rows cannot tell of: 1.5 times slower.
  const FamilyFit page = fit_family(family([](int i) { return noise(i) * (3 + 6.0 * i / 399 > 8 ? 1.5 : 1.0); }));
  CHECK(page.next_decade.n == 67);  // 1e8 < bytes <= 1e9: i from 333 (3 + 6 x 333/399 = 8.0075) to 399
  CHECK(page.next_decade.bias == Approx(1 / 1.5 - 1).margin(0.02));
}

TEST_CASE("a surface explains what varies smoothly with size and is dropped where it explains nothing", "[unit]") {
  const auto with_axis = [](FamilyData data) {
    data.surface = {{"bytes"}, {{10, 15, 20, 25, 30}}, {}};
    return data;
  };
  const FamilyFit bent =
      fit_family(with_axis(family([](int i) { return noise(i) * std::exp(0.3 * std::sin(i / 40.0)); })));
  CHECK_FALSE(bent.surface.empty());
  CHECK(bent.held_out.mean < 0.08);
  CHECK(fit_family(with_axis(family(noise))).surface.empty());
}

TEST_CASE("a surface interpolates between its knots and holds its edge values", "[unit]") {
  const Surface surface{{"m", "n"}, {{0, 2}, {0, 1, 3}}, {0, 1, 2, 4, 5, 6}};
  CHECK(surface.at(std::array{1.0, 0.5}) == Approx((0 + 1 + 4 + 5) / 4.0));
  CHECK(surface.at(std::array{2.0, 2.0}) == Approx((5 + 6) / 2.0));
  CHECK(surface.at(std::array{9.0, 9.0}) == Approx(6));
  CHECK(Surface{}.at({}) == 0);
}

TEST_CASE("knots that no row reaches stay at zero", "[unit]") {
  std::vector<std::vector<double>> coordinates;
  std::vector<std::size_t> rows;
  for (std::size_t i = 0; i < 300; ++i) coordinates.push_back({static_cast<double>(i % 3) / 2}), rows.push_back(i);
  const Surface surface = fit_surface({{"x"}, {{0, 1, 2, 3}}, {}}, coordinates, rows, std::vector<double>(300, -0.1));
  // 100 rows on each of x = 0, 0.5, 1 want +0.1; the ridge of 3 takes about 2 % of it.
  CHECK(surface.values[0] == Approx(0.1).epsilon(0.03));
  CHECK(surface.values[3] == Approx(0).margin(1e-12));
}

}  // namespace moeline
