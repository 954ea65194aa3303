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

}  // namespace

TEST_CASE("a scenario compared with itself differs in nothing", "[property]") {
  const Comparison same = of(small(), small());
  CHECK(same.first_seconds == same.second_seconds);
  CHECK(same.fields.empty());
  for (const ComparedPart& part : same.parts) CHECK(part.difference() == 0);
}

TEST_CASE("the parts of a difference add up to it", "[property]") {
  const Trial base = small();
  for (const Trial& other : {base.with({"/hardware/fabric/1/bandwidth=10 GB/s"}), base.with({"/parallelism/ep=4"}),
                             base.with({"/parallelism/pp=2", "/parallelism/tp=2"}), fine_grained()}) {
    const Comparison c = of(base, other);
    double sum = 0;
    for (const ComparedPart& part : c.parts) sum += part.difference();
    CHECK_THAT(sum, WithinAbs(c.second_seconds - c.first_seconds, 1e-12 * c.first_seconds));
    CHECK_FALSE(c.fields.empty());
  }
}

TEST_CASE("layers are compared op by op", "[property]") {
  const Trial layer(R"({"model": "mixtral-8x7b", "hardware": "h100-sxm", "devices": 8, "parallelism": {"ep": 8},
      "workload": {"kind": "layer", "tokens": 4096}})");
  const Comparison c = of(layer, layer.with({"/workload/tokens=8192"}));
  double sum = 0;
  for (const ComparedPart& part : c.parts) sum += part.difference();
  CHECK_THAT(sum, WithinAbs(c.second_seconds - c.first_seconds, 1e-12 * c.first_seconds));
  CHECK_THAT(error_of([&] { of(layer, small()); }), Contains("answers \"train\""));
}

TEST_CASE("what is no result is refused", "[property]") {
  CHECK_FALSE(is_result(Json{{"model", "x"}}));
  CHECK_THAT(error_of([] { compared(Json::object(), Json::object(), "a", "b"); }), Contains("is no result"));
}
