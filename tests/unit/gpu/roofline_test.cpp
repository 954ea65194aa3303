#include "gpu/roofline.hpp"

#include <catch2/catch.hpp>

#include "scenarios.hpp"

using namespace moeline;
using Catch::WithinRel;

namespace {

constexpr double kHbm = 3.35e12, kBf16 = 989.4e12;  // H100

struct Bench {
  Trial trial = small();
  Calibration calibration{};
  Machine machine{std::get<Gpu>(trial.scenario().cluster.device), trial.scenario().cluster.fabric, calibration};
};

constexpr AttentionCore kPrefill{
    .sequences = 1, .heads = 32, .kv_heads = 8, .queries = 8192, .keys = 8192, .qk_dim = 128, .value_dim = 128};

}  // namespace

TEST_CASE("a causal mask leaves half of the square, a window a band of it", "[unit]") {
  AttentionCore a = kPrefill;
  CHECK(attended_pairs(a) == 8192.0 * 8192 / 2);
  a.window = 1024;
  CHECK(attended_pairs(a) == 1024.0 * 8192 - 1024.0 * 1024 / 2);  // the first 1024 queries see a triangle
  a.window = 8192;
  CHECK(attended_pairs(a) == 8192.0 * 8192 / 2);
  a.window = 0;
  a.causal = false;
  CHECK(attended_pairs(a) == 8192.0 * 8192);
}

TEST_CASE("heads of unequal width count both products", "[unit]") {
  const Bench bench;
  AttentionCore a = kPrefill;
  a.kv_heads = 32;
  a.qk_dim = 192;  // MLA: 128 + 64 for scores, 128 for values
  REQUIRE_THAT(cost(a, bench.machine).flops.in(flop), WithinRel(2.0 * 32 * 8192 * 8192 / 2 * (192 + 128), 1e-12));
  REQUIRE_THAT(cost(a, bench.machine).bytes.in(byte), WithinRel(2.0 * 2 * 32 * 8192 * (192 + 128), 1e-12));
}

TEST_CASE("long attention is bound by tensor cores, short attention by memory", "[unit]") {
  const Bench bench;
  CHECK(cost(kPrefill, bench.machine).bound_by == "tensor");
  AttentionCore brief = kPrefill;
  brief.sequences = 512;
  brief.queries = brief.keys = 128;  // one block: less, and padding to it would bind
  CHECK(cost(brief, bench.machine).bound_by == "HBM");
}

TEST_CASE("fits of attention and of memory passes enter where they belong", "[unit]") {
  Bench bench;
  bench.calibration.attention.launch = 5 * microsecond;
  bench.calibration.attention.tensor = 0.5;
  bench.calibration.attention.launch_backward = 5 * microsecond;
  bench.calibration.attention.backward = 0.5;  // of the forward rate: a quarter of the peak
  bench.calibration.memory.launch = 2 * microsecond;
  bench.calibration.memory.memory = 0.8;
  const double math = 4.0 * 32 * 8192 * 8192 / 2 * 128 / kBf16;
  // Whole 128-blocks on the diagonal: 65/64 of the triangle of 8192.
  REQUIRE_THAT(cost(kPrefill, bench.machine).time.in(second), WithinRel(5e-6 + math / 0.5 * 65 / 64, 0.01));
  AttentionCore backward = kPrefill;
  backward.backward = true;
  REQUIRE_THAT(cost(backward, bench.machine).time.in(second), WithinRel(5e-6 + 2.5 * math / 0.25 * 65 / 64, 0.01));
  const Elementwise pass{1e9 * byte, 1e9 * byte};
  REQUIRE_THAT(cost(pass, bench.machine).time.in(second), WithinRel(2e-6 + 2e9 / (0.8 * kHbm), 1e-12));
  CHECK(cost(Elementwise{1 * byte, 1 * byte}, bench.machine).bound_by == "launch");
}

TEST_CASE("a delta rule is linear in tokens and quadratic inside a chunk of 64", "[unit]") {
  const Bench bench;
  const StateScan scan{.tokens = 65536, .heads = 32, .key_dim = 128, .value_dim = 128};
  const double products = 4.0 * 128 * 128 + 64.0 * (128 + 128);
  REQUIRE_THAT(cost(scan, bench.machine).flops.in(flop), WithinRel(2.0 * 65536 * 32 * products, 1e-12));
  StateScan twice = scan;
  twice.tokens *= 2;
  REQUIRE_THAT(cost(twice, bench.machine).time / cost(scan, bench.machine).time, WithinRel(2.0, 1e-12));
}

TEST_CASE("any kind of work is priced by its own overload", "[unit]") {
  const Bench bench;
  const Elementwise pass{1e9 * byte, 1e9 * byte};
  CHECK(cost(Work{pass}, bench.machine).time == cost(pass, bench.machine).time);
  CHECK(cost(Work{kPrefill}, bench.machine).time == cost(kPrefill, bench.machine).time);
  CHECK(cost(Work{Permute{1e9 * byte, 1e9 * byte}}, bench.machine).time == cost(pass, bench.machine).time);
}
