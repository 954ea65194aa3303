#include "gpu/gemm.hpp"

#include <catch2/catch.hpp>

#include "scenarios.hpp"

using namespace moeline;
using Catch::WithinRel;

namespace {

Gpu h100() { return std::get<Gpu>(small().scenario().cluster.device); }
constexpr double kHbm = 3.35e12, kBf16 = 989.4e12;

GemmFit fitted() {
  GemmFit fit;
  fit.launch = 3 * microsecond;
  fit.tensor = 0.8;
  fit.memory = 0.9;
  fit.leak = 0.1;
  fit.spread = even_spread(0.05);
  fit.source = Source::fitted;
  return fit;
}

}  // namespace

TEST_CASE("whole waves of whole tiles run at the peak", "[unit]") {
  // 66 x 8 tiles of 128 x 256 over 132 multiprocessors: 4 waves.
  const GemmTerms t = gemm_terms(Gemm{.m = 8448, .n = 2048, .k = 8192}, h100(), GemmFit{});
  REQUIRE_THAT(t.time.in(second), WithinRel(2.0 * 8448 * 2048 * 8192 / kBf16, 1e-12));
  REQUIRE_THAT(t.flops.in(flop), WithinRel(2.0 * 8448 * 2048 * 8192, 1e-12));
  REQUIRE_THAT(t.bytes.in(byte), WithinRel(2.0 * (8448.0 * 8192 + 8192.0 * 2048 + 8448.0 * 2048), 1e-12));
}

TEST_CASE("a row times a matrix takes the matrix's bytes", "[unit]") {
  const OpCost c = cost(Gemm{.m = 1, .n = 8192, .k = 8192}, h100(), GemmFit{});
  REQUIRE_THAT(c.time.in(second), WithinRel(2.0 * (8192 + 8192.0 * 8192 + 8192) / kHbm, 1e-12));
  CHECK(c.bound_by == "HBM");
  CHECK(cost(Gemm{.m = 8192, .n = 8192, .k = 8192}, h100(), GemmFit{}).bound_by == "tensor");
}

TEST_CASE("an expert with one row costs a whole tile, one without rows nothing", "[unit]") {
  GemmFit slow;
  slow.tensor = 1e-4;  // so that tiles count, not bytes
  const double one = cost(GroupedGemm{.groups = 1, .m = 1, .n = 2048, .k = 2048}, h100(), slow).time.in(second);
  const double tile = cost(GroupedGemm{.groups = 1, .m = 8, .n = 2048, .k = 2048}, h100(), slow).time.in(second);
  REQUIRE_THAT(one, WithinRel(tile, 1e-12));
  CHECK(gemm_terms(GroupedGemm{.groups = 0, .m = 8, .n = 2048, .k = 2048}, h100(), GemmFit{}).tiles == 0);
}

TEST_CASE("a long reduction with few tiles is split along k", "[unit]") {
  const GemmTerms t = gemm_terms(Gemm{.m = 256, .n = 256, .k = 262144}, h100(), GemmFit{});
  CHECK(t.split > 1);
  CHECK(t.tiles <= 132 * t.waves);
}

TEST_CASE("a split that costs more than it brings is not made", "[unit]") {
  GemmFit fit;
  fit.split = 1 * second;
  CHECK(gemm_terms(Gemm{.m = 256, .n = 256, .k = 262144}, h100(), fit).split == 1);
}

TEST_CASE("a fit enters as launch, efficiency and leak", "[unit]") {
  const double math = 2.0 * 8448 * 4096 * 8192 / (0.8 * kBf16);
  const double bytes = 2.0 * (8448.0 * 8192 + 8192.0 * 4096 + 8448.0 * 4096) / (0.9 * kHbm);
  const OpCost c = cost(Gemm{.m = 8448, .n = 4096, .k = 8192}, h100(), fitted());  // 66 x 16 tiles: 8 whole waves
  REQUIRE_THAT(c.time.in(second), WithinRel(3e-6 + math + 0.1 * bytes, 1e-9));
  CHECK(c.spread == 0.05);
  CHECK(c.source == Source::fitted);
}

TEST_CASE("a tiny product takes its launch", "[unit]") {
  const OpCost c = cost(Gemm{.m = 1, .n = 16, .k = 16}, h100(), fitted());
  CHECK(c.bound_by == "launch");
  CHECK(c.time >= 3 * microsecond);
}

TEST_CASE("every fitted loss makes a product slower", "[unit]") {
  const Gemm gemm{.m = 4096, .n = 4096, .k = 4096};
  const Seconds neutral = cost(gemm, h100(), GemmFit{}).time;
  std::vector<GemmFit> fits(6);
  fits[0].launch = 1 * microsecond;
  fits[1].tensor = 0.9;
  fits[2].load = 1 * second / (50 * gigabyte);
  fits[3].k_step = 10 * microsecond;
  fits[4].epilogue = 1 * second / (50 * gigabyte);
  fits[5].leak = 0.2;
  for (std::size_t i = 0; i < fits.size(); ++i) {
    INFO(i);
    CHECK(cost(gemm, h100(), fits[i]).time > neutral);
  }
}

TEST_CASE("DeepGEMM multiplies an expert's rows in halves of its tile", "[unit][property]") {
  GemmFit slow;
  slow.tensor = 1e-4;  // so that tiles count, not bytes
  slow.tiles = TileSet::deepgemm;
  const auto tensor = [&](double m, double uneven) {
    return gemm_terms(GroupedGemm{.groups = 132, .m = m, .n = 4096, .k = 2048}, h100(), slow, {.uneven = uneven}).tensor.in(second);
  };
  CHECK_THAT(tensor(1, 0), WithinRel(tensor(64, 0), 1e-12));
  CHECK_THAT(tensor(65, 0), WithinRel(2 * tensor(64, 0), 1e-12));
  CHECK_THAT(tensor(128, 0), WithinRel(2 * tensor(64, 0), 1e-12));
  // From 2.8 to 5.2 halves, evenly: (0.2 x 3 + 1 x 4 + 1 x 5 + 0.2 x 6) / 2.4 = 4.5 instead of 4.
  CHECK_THAT(tensor(256, 0.3), WithinRel(4.5 * tensor(64, 0), 1e-9));
  for (double m = 16; m < 2000; m += 37) {
    INFO(m);
    CHECK(tensor(m + 1, 0.3) >= tensor(m, 0.3) * (1 - 1e-9));  // more rows never take less
  }
}
