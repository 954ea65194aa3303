// Does each kind of op cost what two lines of arithmetic say, and a product no less than its bounds?
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>

#include "gpu/gemm.hpp"
#include "gpu/roofline.hpp"
#include "scenarios.hpp"

using namespace moeline;
using Catch::WithinRel;

namespace {

struct Bench {
  Trial trial = small();
  const Gpu& gpu = std::get<Gpu>(trial.scenario().cluster.device);
  const Fabric& fabric = trial.scenario().cluster.fabric;
  Calibration neutral{};
  Machine machine{gpu, fabric, neutral};
  double seconds(const Work& work) const { return cost(work, machine).time.in(second); }
};

constexpr double kHbm = 3.35e12, kBf16 = 989.4e12, kFp8 = 1978.9e12, kNvLink = 450e9, kRail = 50e9;  // H100
constexpr double kNvLinkLatency = 0.874e-6, kRailLatency = 4e-6;
constexpr double kMultiprocessors = 132;

}  // namespace

TEST_CASE("a product takes no less than its arithmetic and no less than its bytes", "[property]") {
  const Bench bench;
  for (const double m : {1.0, 7.0, 128.0, 1000.0, 4096.0, 65536.0}) {
    for (const double n : {1.0, 96.0, 4096.0, 28672.0}) {
      for (const double k : {64.0, 1000.0, 8192.0}) {
        const double math = 2 * m * n * k / kBf16, bytes = 2 * (m * k + k * n + m * n) / kHbm;
        const double time = bench.seconds(Gemm{.m = m, .n = n, .k = k});
        INFO(m << " x " << n << " x " << k);
        CHECK(time >= std::max(math, bytes) * (1 - 1e-9));
        CHECK(bench.seconds(GroupedGemm{.groups = 8, .m = m, .n = n, .k = k}) >=
              8 * std::max(math, bytes) * (1 - 1e-9));
      }
    }
  }
}

TEST_CASE("a product of friendly shape takes no more than the sum of its bounds, its last wave filled up",
          "[property]") {
  const Bench bench;
  for (const double m : {256.0, 512.0, 4096.0, 16384.0}) {
    for (const double n : {256.0, 2048.0, 8192.0}) {
      for (const double k : {512.0, 4096.0}) {
        // 128 x 256 tiles are always a choice: tiles rounded up to whole waves over 132 multiprocessors.
        const double tiles = m / 128 * (n / 256),
                     padding = std::ceil(tiles / kMultiprocessors) * kMultiprocessors / tiles;
        const double math = padding * 2 * m * n * k / kBf16, bytes = 2 * (m * k + k * n + m * n) / kHbm;
        CHECK(bench.seconds(Gemm{.m = m, .n = n, .k = k}) <= (math + bytes) * (1 + 1e-9));
      }
    }
  }
}

TEST_CASE("a larger product never takes less", "[property]") {
  const Bench bench;
  for (const DType type : {DType::bf16, DType::fp8}) {
    double before = 0;
    for (const double m : {1.0, 16.0, 17.0, 100.0, 128.0, 129.0, 4096.0, 4097.0, 30000.0}) {
      const double time = bench.seconds(Gemm{.m = m, .n = 4096, .k = 4096, .operands = type});
      CHECK(time >= before);
      before = time;
    }
    before = 0;
    for (const double groups : {1.0, 2.0, 3.0, 8.0, 64.0}) {
      const double time =
          bench.seconds(GroupedGemm{.groups = groups, .m = 300, .n = 1536, .k = 2048, .operands = type});
      CHECK(time > before);
      before = time;
    }
  }
}

TEST_CASE("a product transposed takes the same time, and so does one group alone", "[property]") {
  const Bench bench;
  for (const double m : {64.0, 1000.0, 4096.0}) {
    REQUIRE_THAT(bench.seconds(Gemm{.m = m, .n = 2048, .k = 512}),
                 WithinRel(bench.seconds(Gemm{.m = 2048, .n = m, .k = 512}), 1e-12));
  }
  // 66 x 16 tiles of 128 x 256 are eight full waves, which no other tile can beat.
  REQUIRE_THAT(bench.seconds(GroupedGemm{.groups = 1, .m = 8448, .n = 4096, .k = 4096}),
               WithinRel(bench.seconds(Gemm{.m = 8448, .n = 4096, .k = 4096}), 1e-12));
}

TEST_CASE("grouped products read every expert's weights however few its rows", "[property]") {
  const Bench bench;
  // 128 experts, one row each: 128 x 2 x (2048 + 1536 x 2048 + 1536) bytes, all of it weights in effect.
  const double bytes = 128.0 * 2 * (2048 + 1536.0 * 2048 + 1536);
  REQUIRE_THAT(bench.seconds(GroupedGemm{.groups = 128, .m = 1, .n = 1536, .k = 2048}), WithinRel(bytes / kHbm, 1e-9));
}

TEST_CASE("many rows through experts take their arithmetic in whole tiles", "[property]") {
  const Bench bench;
  // 4 experts x 8448 rows = 4 x 66 tiles of 128; 2048 / 256 = 8 columns: 2112 tiles = 16 waves of 132 exactly.
  REQUIRE_THAT(bench.seconds(GroupedGemm{.groups = 4, .m = 8448, .n = 2048, .k = 7168}),
               WithinRel(4 * 2.0 * 8448 * 2048 * 7168 / kBf16, 1e-9));
}

TEST_CASE("gradients that are added to are read and written", "[property]") {
  const Bench bench;
  const Gemm fresh{.m = 64, .n = 64, .k = 64, .output = DType::fp32};
  Gemm added = fresh;
  added.accumulate = true;
  const Bytes more = cost(added, bench.gpu, GemmFit{}).bytes - cost(fresh, bench.gpu, GemmFit{}).bytes;
  REQUIRE_THAT(more.in(byte), WithinRel(64.0 * 64 * 4, 1e-12));
}

TEST_CASE("fp8 operands run at the fp8 peak", "[property]") {
  const Bench bench;
  // 66 x 128 by 64 x 256: 4224 tiles of 128 x 256, 32 waves of 132.
  REQUIRE_THAT(bench.seconds(Gemm{.m = 8448, .n = 16384, .k = 8192, .operands = DType::fp8}),
               WithinRel(2.0 * 8448 * 16384 * 8192 / kFp8, 1e-9));
}

TEST_CASE("passes over memory take their bytes over its bandwidth", "[property]") {
  const Bench bench;
  const double n = 1e8;
  REQUIRE_THAT(bench.seconds(Elementwise{3 * n * byte, 2 * n * byte}), WithinRel(5 * n / kHbm, 1e-12));
  REQUIRE_THAT(bench.seconds(Permute{3 * n * byte, 2 * n * byte}), WithinRel(5 * n / kHbm, 1e-12));
  // bf16 in, values and scales out: one scale byte per 32, four per 128, one per 16 values of half a byte.
  const auto quantised = [&](DType to, double copies) { return bench.seconds(Quantize{.elements = n, .to = to, .copies = copies}); };
  REQUIRE_THAT(quantised(DType::mxfp8, 1), WithinRel(n * (2 + 1 + 1.0 / 32) / kHbm, 1e-12));
  REQUIRE_THAT(quantised(DType::mxfp8, 2), WithinRel(n * (2 + 2 * (1 + 1.0 / 32)) / kHbm, 1e-12));
  REQUIRE_THAT(quantised(DType::fp8_block, 2), WithinRel(n * (2 + 2 * (1 + 4.0 / 128)) / kHbm, 1e-12));
  REQUIRE_THAT(quantised(DType::nvfp4, 1), WithinRel(n * (2 + 0.5 + 1.0 / 16) / kHbm, 1e-12));
  REQUIRE_THAT(quantised(DType::fp8, 1), WithinRel(n * (2 + 1) / kHbm, 1e-12));
}

TEST_CASE("causal attention multiplies half the square, backward two and a half times that", "[property]") {
  const Bench bench;
  const double s = 8192, h = 32, d = 128;
  AttentionCore core{.sequences = 3, .heads = h, .kv_heads = 8, .queries = s, .keys = s, .qk_dim = d, .value_dim = d};
  const double flops = 3 * 4 * s * s / 2 * h * d;
  const double diagonal = (s + 128) / s;  // kernels run whole blocks of 128 on the diagonal
  REQUIRE_THAT(bench.seconds(core), WithinRel(diagonal * flops / kBf16, 1e-9));
  REQUIRE_THAT(cost(core, bench.machine).flops.in(flop), WithinRel(flops, 1e-12));
  core.causal = false;
  REQUIRE_THAT(bench.seconds(core), WithinRel(2 * flops / kBf16, 1e-12));
  core.causal = true;
  core.backward = true;
  REQUIRE_THAT(bench.seconds(core), WithinRel(2.5 * diagonal * flops / kBf16, 1e-9));
}

TEST_CASE("short attention takes the bytes of queries, keys, values and output", "[property]") {
  const Bench bench;
  const AttentionCore core{
      .sequences = 4096, .heads = 32, .kv_heads = 8, .queries = 128, .keys = 128, .qk_dim = 128, .value_dim = 128};
  // q and o of 32 heads, k and v of 8: 4096 x 128 x 128 x 2 x (2 x 32 + 2 x 8) bytes
  REQUIRE_THAT(bench.seconds(core), WithinRel(4096.0 * 128 * 128 * 2 * (2 * 32 + 2 * 8) / kHbm, 1e-9));
}

TEST_CASE("a window of w keys leaves w per query but for the first ones", "[property]") {
  for (const double w : {1.0, 16.0, 128.0, 1000.0}) {
    const AttentionCore core{.sequences = 1,
                             .heads = 1,
                             .kv_heads = 1,
                             .queries = 1000,
                             .keys = 1000,
                             .qk_dim = 1,
                             .value_dim = 1,
                             .window = w};
    double counted = 0;  // query i sees keys i-w+1 .. i
    for (int i = 0; i < 1000; ++i) counted += std::min<double>(i + 1, w);
    // The formula integrates where this counts: half a key per query apart.
    CHECK(std::abs(attended_pairs(core) - counted) <= 500.0 + 1e-9);
  }
}

TEST_CASE("context parallelism shares the triangle evenly", "[property]") {
  AttentionCore whole{
      .sequences = 1, .heads = 1, .kv_heads = 1, .queries = 8192, .keys = 8192, .qk_dim = 1, .value_dim = 1};
  AttentionCore part = whole;
  part.queries /= 4;
  REQUIRE_THAT(4 * attended_pairs(part), WithinRel(attended_pairs(whole), 1e-12));
  whole.window = part.window = 100;
  REQUIRE_THAT(4 * attended_pairs(part), WithinRel(attended_pairs(whole), 1e-12));
}

TEST_CASE("gathering and scattering inside a switch move S (n-1)/n", "[property]") {
  const Bench bench;
  const double s = 1e9;
  for (const CollectiveKind kind : {CollectiveKind::all_gather, CollectiveKind::reduce_scatter}) {
    for (const std::int64_t n : {2, 4, 8}) {
      const double ranks = static_cast<double>(n),
                   expected = s * (ranks - 1) / ranks / kNvLink + std::log2(ranks) * kNvLinkLatency;
      REQUIRE_THAT(bench.seconds(Collective{kind, s * byte, {n, 1}}), WithinRel(expected, 1e-9));
    }
  }
}

TEST_CASE("over nodes every NIC carries its share of what leaves the node", "[property]") {
  const Bench bench;
  const double s = 1e9;
  // 4 nodes of 8: NVLink S 31/32, each of 8 NICs an eighth of it; the slower counts. Three doublings inside, two between.
  const double expected =
      std::max(s * 31 / 32 / kNvLink, s * 31 / 32 / 8 / kRail) + 3 * kNvLinkLatency + 2 * kRailLatency;
  REQUIRE_THAT(bench.seconds(Collective{CollectiveKind::all_gather, s * byte, {32, 1}}), WithinRel(expected, 1e-9));
  // Ranks 8 apart share no node: a ring over the NICs alone.
  const double lonely = s * 3 / 4 / kRail + 2 * kRailLatency;
  REQUIRE_THAT(bench.seconds(Collective{CollectiveKind::all_gather, s * byte, {4, 8}}), WithinRel(lonely, 1e-9));
}

TEST_CASE("reduction in the switch sends every byte once and one share more", "[property]") {
  const Bench bench;
  const double s = 1e9;
  const double in_switch = s * 9 / 8 / kNvLink + 2 * 3 * kNvLinkLatency;
  REQUIRE_THAT(bench.seconds(Collective{CollectiveKind::all_reduce, s * byte, {8, 1}}), WithinRel(in_switch, 1e-9));
  // Two ranks gain nothing by it: 2 S (1/2).
  REQUIRE_THAT(bench.seconds(Collective{CollectiveKind::all_reduce, s * byte, {2, 1}}),
               WithinRel(s / kNvLink + 2 * kNvLinkLatency, 1e-9));
}

TEST_CASE("a collective of one rank is free", "[property]") {
  const Bench bench;
  for (const CollectiveKind kind :
       {CollectiveKind::all_gather, CollectiveKind::reduce_scatter, CollectiveKind::all_reduce}) {
    CHECK(bench.seconds(Collective{kind, 1e9 * byte, {1, 1}}) == 0);
  }
}

TEST_CASE("a message to the next stage crosses the tier that lies between", "[property]") {
  const Bench bench;
  REQUIRE_THAT(bench.seconds(Collective{CollectiveKind::send_recv, 1e8 * byte, {4, 2}}),
               WithinRel(1e8 / kNvLink + kNvLinkLatency, 1e-9));
  REQUIRE_THAT(bench.seconds(Collective{CollectiveKind::send_recv, 1e8 * byte, {4, 8}}),
               WithinRel(1e8 / kRail + kRailLatency, 1e-9));
}
