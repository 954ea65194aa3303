#include "fit/checking.hpp"

#include <catch2/catch.hpp>
#include <cmath>

#include "fit/device_names.hpp"

namespace moeline {
namespace {

// Ten rows that take 11 us each where the page's one parameter says 10.
FamilyData rows(const std::string& device) {
  FamilyData data{.key = {device, "pass", "test", "bf16"}, .parameters = {{"time", "us", 5, 1, 100}}};
  data.observations.measured.assign(10, 11);
  data.observations.predicted = [](std::span<const double> v, std::size_t) { return v[0]; };
  return data;
}

Page page(const std::string& device, double widening) {
  Page page{.own = widening == 1, .widening = widening};
  page.fit.key = {device, "pass", "test", "bf16"};
  page.fit.fit.values = {10};
  page.fit.spread = {-0.08, 0.08};
  return page;
}

}  // namespace

TEST_CASE("check prices rows by the best page and judges coverage by its band", "[unit]") {
  const Checked checked = check_rows(rows("h200-sxm"), {page("h200-sxm", 1)});
  CHECK(checked.errors.n == 10);
  CHECK(checked.errors.bias == Approx(10.0 / 11 - 1));
  CHECK(checked.coverage == 0);  // log(11 / 10) = 0.095 lies outside 0.08
}

TEST_CASE("a borrowed page covers more, by its widening", "[unit]") {
  CHECK(check_rows(rows("h100-sxm"), {page("h200-sxm", 1.3)}).coverage == 1);  // 1.3 x 0.08 = 0.104
}

TEST_CASE("rows of a family that no page knows are counted, not dropped", "[unit]") {
  const Checked checked = check_rows(rows("mi300x"), {});
  CHECK_FALSE(checked.page.has_value());
  CHECK(checked.skipped.at("no calibration for this family") == 10);
}

TEST_CASE("devices are recognised as measurements name them", "[unit]") {
  CHECK(device_name("h200_sxm") == "h200-sxm");
  CHECK(device_name("gb200") == "gb200-nvl72");
  CHECK(device_name("H20") == "h20-sxm");
  CHECK(device_name("NVIDIA B200") == "b200-sxm");
  CHECK(device_name("a100-pcie") == "a100-pcie");
  CHECK_FALSE(has_profile("tpu-v9"));
}

}  // namespace moeline
