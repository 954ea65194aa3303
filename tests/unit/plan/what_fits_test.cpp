#include "plan/what_fits.hpp"

#include <catch2/catch.hpp>

#include "scenarios.hpp"

using namespace moeline;
using Catch::Contains;

namespace {

Trial unsharded() {
  return Trial(R"({"model": "deepseek-v3", "hardware": "h100-sxm", "devices": 2048, "recipe": "bf16",
      "parallelism": {"ep": 1, "pp": 16}, "workload": {"kind": "train", "global_batch": 4096}})");
}

}  // namespace

TEST_CASE("what does not fit names the part that overflows and a change that fits", "[unit]") {
  const Trial trial = unsharded();
  CHECK_THAT(trial.infeasible().reason, Contains("out of memory"));
  CHECK_THAT(trial.infeasible().reason, Contains("most of it"));
  const std::vector<FittingChange> list = what_fits(trial.scenario(), Calibration{}, 3);
  REQUIRE_FALSE(list.empty());
  CHECK(list.size() <= 3);
  for (const FittingChange& change : list) {
    INFO(change.change);
    CHECK(change.need <= trial.infeasible().have.value());
  }
}

TEST_CASE("a change that is said to fit does fit", "[unit]") {
  const Trial tight = small().with({"/hardware/device/hbm_capacity=70 GB", "/workload/micro_batch=4"});
  if (tight.runs()) return;
  for (const FittingChange& change : what_fits(tight.scenario(), Calibration{}, 8)) {
    if (change.change != "recompute full") continue;
    CHECK(tight.with({"/workload/recompute=full"}).runs());
  }
}
