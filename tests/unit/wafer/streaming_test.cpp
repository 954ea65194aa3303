#include "wafer/streaming.hpp"

#include <catch2/catch.hpp>

#include "scenarios.hpp"
#include "wafer/resident.hpp"
#include "wafer/roofline.hpp"

using namespace moeline;
using Catch::WithinRel;

namespace {

const WaferLines kLines{100 * gigabyte_per_second, 50 * gigabyte_per_second, 4 * microsecond, 3};
const WaferConduct kConduct{.layer_overhead = 5 * microsecond, .tile_overhead = 2 * microsecond};

}  // namespace

TEST_CASE("a pass takes its longest part, and fixed costs on top", "[unit]") {
  const PassLoad load{.weights_in = 1e9 * byte,
                      .inputs_in = 2e9 * byte,
                      .inputs_out = {},
                      .gradients_out = 1e9 * byte,
                      .compute = 25 * millisecond,
                      .tiles = 10};
  const PassTerms t = pass_terms(load, kLines, kConduct);
  CHECK_THAT(t.in().in(millisecond), WithinRel(30.0, 1e-12));   // 3 GB at 100 GB/s
  CHECK_THAT(t.out().in(millisecond), WithinRel(20.0, 1e-12));  // 1 GB at 50 GB/s
  CHECK_THAT(t.overhead.in(microsecond), WithinRel(5 + 10 * 2.0, 1e-12));
  CHECK_THAT(t.time().in(millisecond), WithinRel(30.025, 1e-12));
  CHECK_THAT(t.exposed_stream().in(millisecond), WithinRel(5.0, 1e-12));
  CHECK(t.bound_by() == "stream in");
}

TEST_CASE("compute that outlasts its streams hides them", "[unit]") {
  const PassTerms t = pass_terms({.weights_in = 1e9 * byte, .compute = 25 * millisecond}, kLines, kConduct);
  CHECK(t.exposed_stream() == Seconds{});
  CHECK(t.bound_by() == "cores");
}

TEST_CASE("the tree's depth is felt twice a step, the optimiser only beyond backward", "[unit]") {
  ExternalMemory memory;
  memory.optimizer_rate = Fact<double>{1e9, "test"};
  const OuterTerms t = outer_terms(1e9 * byte, 1e9 * byte, 3 * second, 5e9, kLines, memory);
  CHECK_THAT(t.fill.in(microsecond), WithinRel(10000 + 12.0, 1e-12));   // 1 GB in, three hops
  CHECK_THAT(t.drain.in(microsecond), WithinRel(20000 + 12.0, 1e-12));  // 1 GB out
  CHECK_THAT(t.optimizer.in(second), WithinRel(2.0, 1e-12));            // 5 s less 3 s
  CHECK(outer_terms({}, {}, {}, 5e9, kLines, std::nullopt).optimizer == Seconds{});
}

TEST_CASE("16 systems stand under a tree of four levels", "[unit]") {
  const Trial trial = small().with({"hardware=cs-2", "devices=16"});
  const WaferLines lines = wafer_lines(trial.scenario().cluster, {.line_efficiency = 0.5});
  CHECK(lines.depth == 4);
  CHECK_THAT(lines.input.in(gigabyte_per_second), WithinRel(75.0, 1e-12));  // half of 1.2 Tbit/s
}

TEST_CASE("products run at a share of the dense peak, passes at SRAM bandwidth", "[unit]") {
  const Trial trial = small().with({"hardware=cs-2"});
  const CoreArray array{std::get<Wafer>(trial.scenario().cluster.device), {.efficiency = 0.5}};
  // 2 x 1000 x 1000 x 3750 = 7.5e9 FLOP at 3.75 PFLOP/s
  CHECK_THAT(cost(Gemm{.m = 1000, .n = 1000, .k = 3750}, array).time.in(microsecond), WithinRel(2.0, 1e-12));
  // 16 experts of 10 rows cost what 160 rows cost
  CHECK_THAT(cost(GroupedGemm{.groups = 16, .m = 10, .n = 64, .k = 64}, array).time.in(nanosecond),
             WithinRel(cost(Gemm{.m = 160, .n = 64, .k = 64}, array).time.in(nanosecond), 1e-12));
  CHECK_THAT(cost(Elementwise{1e9 * byte, 1e9 * byte}, array).time.in(nanosecond), WithinRel(100.0, 1e-12));  // 20 PB/s
}

TEST_CASE("a resident model waits once for its pipeline to fill", "[unit]") {
  const ResidentTerms t = resident_terms(2 * millisecond, 100, 24);
  CHECK_THAT(t.work.in(millisecond), WithinRel(200.0, 1e-12));
  CHECK_THAT(t.fill.in(millisecond), WithinRel(46.0, 1e-12));  // (24 - 1) x 2
}
