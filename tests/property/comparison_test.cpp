// Do the parts of a difference add up to it?
#include "reports/comparison.hpp"

#include <catch2/catch.hpp>

#include "error_of.hpp"
#include "reports/report.hpp"
#include "scenarios.hpp"

using namespace moeline;
using Catch::Contains;
using Catch::WithinAbs;

namespace {

Json result(const Trial& trial) {
  return parse_json(render(trial.evaluation(), trial.scenario(), Format::json, {}), "result.json");
}
Comparison of(const Trial& a, const Trial& b) { return compared(result(a), result(b), "a", "b"); }
void adds_up(const ComparedTime& time) {
  double sum = 0;
  for (const ComparedPart& part : time.parts) sum += part.difference();
  CHECK_THAT(sum, WithinAbs(time.difference(), 1e-12 * time.first));  // rounding of some forty parts
}

}  // namespace

TEST_CASE("a scenario compared with itself differs in nothing", "[property]") {
  const Comparison same = of(small(), small());
  CHECK(same.times.front().difference() == 0);
  CHECK(same.fields.empty());
  for (const ComparedPart& part : same.times.front().parts) CHECK(part.difference() == 0);
}

TEST_CASE("the parts of a difference add up to it", "[property]") {
  const Trial base = small();
  for (const Trial& other : {base.with({"/hardware/fabric/1/bandwidth=10 GB/s"}), base.with({"/parallelism/ep=4"}),
                             base.with({"/parallelism/pp=2", "/parallelism/tp=2"}), fine_grained()}) {
    const Comparison c = of(base, other);
    adds_up(c.times.front());
    CHECK_FALSE(c.fields.empty());
  }
}

TEST_CASE("layers are compared op by op", "[property]") {
  const Trial layer(R"({"model": "mixtral-8x7b", "hardware": "h100-sxm", "devices": 8, "parallelism": {"ep": 8},
      "workload": {"kind": "layer", "tokens": 4096}})");
  const Comparison c = of(layer, layer.with({"/workload/tokens=8192"}));
  adds_up(c.times.front());
  CHECK_THAT(error_of([&] { of(layer, small()); }), Contains("answers \"train\""));
}

TEST_CASE("of a served token both times are compared, and the parts of each add up to its difference", "[property]") {
  const Trial base = served();
  for (const Trial& other : {base.with({"/workload/concurrency=64"}), base.with({"/hardware/device/hbm_bandwidth=5 TB/s"}),
                             base.with({"/parallelism/tp=8", "/devices=8"})}) {
    const Comparison c = of(base, other);
    REQUIRE(c.times.size() == 2);
    // Read back from JSON: the last digit of milliseconds.
    CHECK_THAT(c.times[0].first, WithinAbs(base.serve().tpot.value.in(second), 1e-15));
    CHECK_THAT(c.times[1].second, WithinAbs(other.serve().ttft.value.in(second), 1e-15));
    for (const ComparedTime& time : c.times) {
      CHECK(time.difference() != 0);
      adds_up(time);
    }
  }
  CHECK_THAT(error_of([&] { of(base, small()); }), Contains("answers \"train\""));
}

TEST_CASE("what is no result is refused", "[property]") {
  CHECK_FALSE(is_result(Json{{"model", "x"}}));
  CHECK_THAT(error_of([] { compared(Json::object(), Json::object(), "a", "b"); }), Contains("is no result"));
}
