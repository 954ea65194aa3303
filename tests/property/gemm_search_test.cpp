// Does the search that prunes find what trying every tile and split finds, and does a memo give the same answer?
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <random>

#include "gpu/gemm.hpp"
#include "gpu/cost_memo.hpp"
#include "scenarios.hpp"

using namespace moeline;
using Catch::WithinRel;

namespace {

double groups(const Gemm&) { return 1; }
double groups(const GroupedGemm& g) { return g.groups; }

// The equation of gpu/gemm.hpp for one tile and split, written out; seconds without launch.
template <class Product>
double one(const Product& g, const Gpu& gpu, const GemmFit& fit, double tile_m, double tile_n, double split) {
  const double sms = static_cast<double>(gpu.multiprocessors.value), element = bits(g.operands) / 8;
  const double rate = gpu.dense_peak.of(g.operands)->value.in(flop_per_second)*fit.tensor * (1 - fit.throttle);
  const double load = (fit.load * (1 * byte)).in(second), traffic = groups(g) * ((g.m + g.n) * g.k * element + 2 * g.m * g.n);
  const double tiles = groups(g) * std::ceil(g.m / tile_m) * std::ceil(g.n / tile_n) * split, k = g.k / split;
  const double math = tile_m * tile_n * k * 2 * sms / rate;
  const double reads = (std::min(tile_m, g.m) + std::min(tile_n, g.n)) * k * element * load;
  const double steps = k * element / 128 * fit.k_step.in(second);
  const double epilogue = tile_m * tile_n * 2 * (fit.epilogue * (1 * byte)).in(second);
  const double x = std::ceil(tiles / sms) * (std::max({math, reads, steps}) + epilogue);
  const double y = std::max(traffic / (fit.memory * gpu.hbm_bandwidth.value.in(byte_per_second)),
                            traffic * load / std::min(tiles, sms));
  const double time = std::max(x, y) + fit.leak * std::min(x, y);
  return split > 1 ? time + fit.split.in(second) + 8 * split * g.m * g.n * load / sms : time;
}

double exhaustive(const Gemm& g, const Gpu& gpu, const GemmFit& fit) {
  double best = 1e30;
  for (const double tile_m : {16, 32, 48, 64, 80, 96, 112, 128, 160, 192, 224, 256}) {
    for (const double tile_n : {16, 32, 48, 64, 80, 96, 112, 128, 160, 192, 224, 256}) {
      const auto wide = [](double edge) { return edge == 64 || edge == 128 || edge == 256; };
      if ((!wide(tile_m) && !wide(tile_n)) || tile_m * tile_n > 128 * 256) continue;
      const double tiles = std::ceil(g.m / tile_m) * std::ceil(g.n / tile_n);
      for (const double split : {1, 2, 3, 4, 6, 8, 16, 32}) {
        if (split > 1 && (g.k / split < 256 || tiles * split > 2 * 132)) continue;
        best = std::min(best, one(g, gpu, fit, tile_m, tile_n, split));
      }
    }
  }
  return best + fit.launch.in(second);
}

double exhaustive(const GroupedGemm& g, const Gpu& gpu, const GemmFit& fit) {
  double best = 1e30;
  for (const double tile_m : {8, 16, 32, 64, 128, 256}) {
    for (const double tile_n : {64, 128, 256}) {
      if (tile_m * tile_n <= 128 * 256) best = std::min(best, one(g, gpu, fit, tile_m, tile_n, 1));
    }
  }
  return best + (fit.launch + g.groups * fit.expert).in(second);
}

Gpu h100() { return std::get<Gpu>(small().scenario().cluster.device); }

struct Draw {
  std::mt19937 random{11};
  double between(double low, double high) {  // log-uniform
    return low * std::pow(high / low, std::uniform_real_distribution<double>(0, 1)(random));
  }
  Gemm gemm() {
    Gemm g{
        .m = std::round(between(1, 65536)), .n = std::round(between(16, 65536)), .k = std::round(between(64, 65536))};
    if (random() % 2 == 0) g.operands = DType::fp8;
    return g;
  }
  GemmFit fit() {
    GemmFit f;
    f.launch = between(0.5, 10) * microsecond;
    f.tensor = between(0.4, 1);
    f.throttle = between(0.01, 0.4);
    f.memory = between(0.5, 1);
    f.load = 1 * second / (between(30, 600) * gigabyte);
    f.k_step = between(10, 500) * nanosecond;
    f.epilogue = 1 * second / (between(20, 800) * gigabyte);
    f.split = between(0.1, 10) * microsecond;
    f.leak = between(0.001, 1);
    return f;
  }
};

}  // namespace

TEST_CASE("the pruned search finds what trying every tile and split finds", "[property]") {
  const Gpu gpu = h100();
  Draw draw;
  for (int i = 0; i < 1500; ++i) {
    const Gemm gemm = draw.gemm();
    const GemmFit fit = i % 10 == 0 ? GemmFit{} : draw.fit();
    INFO(gemm.m << " x " << gemm.n << " x " << gemm.k << ", draw " << i);
    REQUIRE_THAT(gemm_terms(gemm, gpu, fit).time.in(second), WithinRel(exhaustive(gemm, gpu, fit), 1e-12));
  }
}

TEST_CASE("the pruned search of grouped products finds what trying every tile finds", "[property]") {
  const Gpu gpu = h100();
  Draw draw;
  for (int i = 0; i < 500; ++i) {
    const GroupedGemm gemm{.groups = std::round(draw.between(1, 256)), .m = std::round(draw.between(1, 4096)),
                           .n = std::round(draw.between(64, 8192)), .k = std::round(draw.between(64, 8192))};
    const GemmFit fit = draw.fit();
    // the same equation in another order: rounding alone
    INFO(gemm.groups << " of " << gemm.m << " x " << gemm.n << " x " << gemm.k << ", draw " << i);
    REQUIRE_THAT(gemm_terms(gemm, gpu, fit).time.in(second), WithinRel(exhaustive(gemm, gpu, fit), 1e-12));
  }
}

TEST_CASE("a memo answers as the search does, and searches again only what it has not seen", "[property]") {
  const Gpu gpu = h100();
  const GemmFit fit = Draw().fit();
  CostMemo memo;
  int searches = 0;
  for (int i = 0; i < 400; ++i) {
    const Gemm gemm{.m = static_cast<double>(1 + i % 40), .n = 4096, .k = 2048, .accumulate = i % 3 == 0};
    const OpCost remembered = memo.cost(gemm, [&](const Gemm& g) {
      ++searches;
      return cost(g, gpu, fit);
    });
    CHECK(remembered.time == cost(gemm, gpu, fit).time);
  }
  CHECK(searches == 80);  // 40 sizes, a third of 400 accumulate: each pair is met, since 40 and 3 share no factor
}

TEST_CASE("a memo tells collectives apart by kind, bytes, size and stride", "[property]") {
  CostMemo memo;
  double priced = 0;
  for (const int round : {0, 1}) {
    for (const CollectiveKind kind : {CollectiveKind::all_gather, CollectiveKind::all_reduce}) {
      for (const double bytes : {1e6, 2e6}) {
        for (const Group group : {Group{8, 1}, Group{8, 8}, Group{16, 1}}) {
          const double number = 1 + priced;
          const OpCost cost = memo.cost(Collective{kind, bytes * byte, group}, [&](const Collective&) { return OpCost{.time = ++priced * second}; });
          if (round == 0) CHECK(cost.time.in(second) == number);  // not seen before
        }
      }
    }
  }
  CHECK(priced == 12);  // 2 kinds x 2 sizes x 3 groups, once each
}

TEST_CASE("a correction surface multiplies a dense product and leaves a grouped one", "[property]") {
  const Gpu gpu = h100();
  GemmFit fit = Draw().fit();
  const Gemm gemm{.m = 64, .n = 4096, .k = 4096};
  const GroupedGemm grouped{.groups = 4, .m = 64, .n = 4096, .k = 4096};
  const double dense = cost(gemm, gpu, fit).time.in(second), experts = cost(grouped, gpu, fit).time.in(second);
  // Flat at +0.1 in n and k, 0 at m = 1 and 0.2 at m = 4096: half way, m = 64, 0.1.
  fit.surface = std::make_shared<const Surface>(Surface{
      .axes = {"m", "n", "k"}, .knots = {{0, 12}, {7, 16}, {7, 16}}, .values = {0, 0, 0, 0, 0.2, 0.2, 0.2, 0.2}});
  CHECK_THAT(cost(gemm, gpu, fit).time.in(second), WithinRel(dense * std::exp(0.1), 1e-12));
  CHECK_THAT(cost(grouped, gpu, fit).time.in(second), WithinRel(experts, 1e-12));
}
