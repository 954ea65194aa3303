#include "gpu/gemm.hpp"

#include <array>
#include <cmath>

#include "error.hpp"

namespace moeline {
namespace {

// Tile edges that tensor-core libraries ship; both orientations, bounded by accumulator space.
constexpr std::array kLongEdge{64.0, 128.0, 256.0};
constexpr std::array kShortEdge{16.0, 32.0, 48.0, 64.0, 80.0, 96.0, 112.0, 128.0, 160.0, 192.0, 224.0, 256.0};
constexpr std::array kGroupedRows{8.0, 16.0, 32.0, 64.0, 128.0, 256.0};
constexpr std::array kSplits{1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 16.0, 32.0};
constexpr double kShortestSplit = 256;  // elements of k that one split keeps

// Expected loads are not whole; 128.0000001 rows are 128.
double ceil_to(double value, double step) { return std::ceil(value / step - 1e-9); }

// Accumulators: 128 x 256 on Hopper and before; a pair of multiprocessors shares 256 x 256 on Blackwell.
double largest_tile(const Gpu& gpu) {
  return gpu.architecture == "sm_100" || gpu.architecture == "sm_103" ? 256.0 * 256 : 128.0 * 256;
}

struct Shape {
  double groups, m, n, k;
  Bytes operand, output;  // one element
  Bytes traffic;          // A, B and C once
};

struct Limits {
  FlopsPerSecond tensor_per_multiprocessor;
  BytesPerSecond memory;
  double multiprocessors;
};

GemmTerms candidate(const Shape& s, double tile_m, double tile_n, double split, const Limits& limits, const GemmFit& fit) {
  GemmTerms t;
  t.tile_m = tile_m;
  t.tile_n = tile_n;
  t.split = split;
  t.tiles = s.groups * ceil_to(s.m, tile_m) * ceil_to(s.n, tile_n) * split;
  t.waves = std::max(1.0, ceil_to(t.tiles, limits.multiprocessors));
  const double k = s.k / split;
  const Seconds math = 2 * tile_m * tile_n * k * flop / limits.tensor_per_multiprocessor;
  const Seconds load = (std::min(tile_m, s.m) + std::min(tile_n, s.n)) * k * s.operand * fit.load;
  const Seconds steps = k * s.operand.in(byte) / 128 * fit.k_step;
  t.tensor = t.waves * (max(math, max(load, steps)) + tile_m * tile_n * s.output * fit.epilogue);
  t.memory = s.traffic / limits.memory;
  t.time = fit.launch + max(t.tensor, t.memory) + fit.leak * min(t.tensor, t.memory);
  if (split > 1) t.time += fit.split;
  return t;
}

Limits limits(const Gpu& gpu, DType type, const GemmFit& fit) {
  const std::optional<Fact<FlopsPerSecond>>& peak = gpu.dense_peak.of(type);
  MOELINE_EXPECT(peak.has_value());  // legality is checked before anything is priced
  const auto multiprocessors = static_cast<double>(gpu.multiprocessors.value);
  return {fit.tensor * peak->value / multiprocessors, fit.memory * gpu.hbm_bandwidth.value, multiprocessors};
}

template <class Product>
Shape shape_of(const Product& gemm, double groups) {
  const Bytes operand = bytes(gemm.operands, 1), output = bytes(gemm.output, 1);
  const double c_passes = gemm.accumulate ? 2 : 1;
  const Bytes traffic = groups * ((gemm.m + gemm.n) * gemm.k * operand + c_passes * gemm.m * gemm.n * output);
  return {groups, gemm.m, gemm.n, gemm.k, operand, output, traffic};
}

OpCost to_cost(const GemmTerms& t, const GemmFit& fit) {
  OpCost cost{.flops = t.flops, .bytes = t.bytes, .time = t.time, .spread = fit.spread, .bound_by = "tensor",
              .source = fit.source};
  if (t.memory > t.tensor) cost.bound_by = "HBM";
  if (fit.launch > max(t.memory, t.tensor)) cost.bound_by = "launch";
  return cost;
}

}  // namespace

GemmTerms gemm_terms(const Gemm& gemm, const Gpu& gpu, const GemmFit& fit) {
  const Shape shape = shape_of(gemm, 1);
  const Limits limit = limits(gpu, gemm.operands, fit);
  GemmTerms best;
  bool found = false;
  const auto consider = [&](double tile_m, double tile_n, double split) {
    const GemmTerms terms = candidate(shape, tile_m, tile_n, split, limit, fit);
    // Between equals the larger tile: it reads operands less often.
    const bool larger = terms.tile_m * terms.tile_n > best.tile_m * best.tile_n;
    const bool better = !found || terms.time < best.time || (terms.time <= best.time && larger);
    if (better) best = terms;
    found = true;
  };
  for (const double longer : kLongEdge) {
    for (const double shorter : kShortEdge) {
      if (longer * shorter > largest_tile(gpu)) continue;
      for (const double split : kSplits) {
        if (split > 1 && gemm.k / split < kShortestSplit) break;
        const double tiles = ceil_to(gemm.m, longer) * ceil_to(gemm.n, shorter);
        if (split > 1 && tiles * (split - 1) > 2 * limit.multiprocessors) break;
        consider(longer, shorter, split);
        if (longer != shorter) consider(shorter, longer, split);
      }
    }
  }
  best.flops = 2 * gemm.m * gemm.n * gemm.k * flop;
  best.bytes = shape.traffic;
  return best;
}

GemmTerms gemm_terms(const GroupedGemm& gemm, const Gpu& gpu, const GemmFit& fit) {
  const Shape shape = shape_of(gemm, gemm.groups);
  const Limits limit = limits(gpu, gemm.operands, fit);
  GemmTerms best;
  bool found = false;
  for (const double tile_m : kGroupedRows) {
    for (const double tile_n : kLongEdge) {
      if (tile_m * tile_n > largest_tile(gpu)) continue;
      const GemmTerms terms = candidate(shape, tile_m, tile_n, 1, limit, fit);
      if (!found || terms.time <= best.time) best = terms;
      found = true;
    }
  }
  best.flops = 2 * gemm.groups * gemm.m * gemm.n * gemm.k * flop;
  best.bytes = shape.traffic;
  return best;
}

OpCost cost(const Gemm& gemm, const Gpu& gpu, const GemmFit& fit) { return to_cost(gemm_terms(gemm, gpu, fit), fit); }
OpCost cost(const GroupedGemm& gemm, const Gpu& gpu, const GemmFit& fit) {
  return to_cost(gemm_terms(gemm, gpu, fit), fit);
}

}  // namespace moeline
