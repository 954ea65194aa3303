#include "gpu/gemm.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <span>

#include "error.hpp"

namespace moeline {
namespace {

// Tile edges that libraries ship: long edge first; both orientations are tried, area bounded by accumulator space.
constexpr std::array kLong{64.0, 128.0, 256.0};
constexpr std::array kFine{16.0, 32.0, 48.0, 64.0, 80.0, 96.0, 112.0, 128.0, 160.0, 192.0, 224.0, 256.0};
constexpr std::array kCutlassRows{128.0, 256.0};
constexpr std::array kCutlassColumns{64.0, 128.0, 192.0, 256.0};
constexpr std::array kEvery16{16.0,  32.0,  48.0,  64.0,  80.0,  96.0,  112.0, 128.0,
                              144.0, 160.0, 176.0, 192.0, 208.0, 224.0, 240.0, 256.0};
constexpr std::array kGroupedRows{8.0, 16.0, 32.0, 64.0, 128.0, 256.0};
constexpr std::array kGroupedColumns{64.0, 128.0, 256.0};
// DeepGEMM's grouped tiles have 128 rows, of which a half without rows is not multiplied.
constexpr std::array kHalvedRows{64.0, 128.0};
constexpr std::array kSplits{1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 16.0, 32.0};
constexpr double kShortestSplit = 256;  // elements of k that one split keeps

// Expected loads are not whole; 128.0000001 rows are 128.
double ceil_to(double value, double step) { return std::ceil(value / step - 1e-9); }

// Accumulators: 128 x 256 on Hopper and before; a pair of multiprocessors shares 256 x 256 on Blackwell.
double largest_tile(const Gpu& gpu) {
  return gpu.architecture == "sm_100" || gpu.architecture == "sm_103" ? 256.0 * 256 : 128.0 * 256;
}

// One product, reduced to what the candidates need; times in seconds, sizes in bytes.
struct Problem {
  double groups, m, n, k;
  double operand_bytes;   // one element of A or B
  double output_bytes;
  double traffic;         // A, B and C once, all groups
  double multiprocessors;
  double math;            // seconds per multiply-add on one multiprocessor
  double memory;          // seconds of the traffic at full bandwidth
  double load, k_step, epilogue, split, leak;
};

template <class Product>
Problem problem(const Product& g, double groups, const Gpu& gpu, const GemmFit& fit, GemmConditions conditions) {
  const std::optional<Fact<FlopsPerSecond>>& peak = gpu.dense_peak.of(g.operands);
  MOELINE_EXPECT(peak.has_value());  // legality is checked before anything is priced
  Problem p{.groups = groups, .m = g.m, .n = g.n, .k = g.k};
  p.operand_bytes = bits(g.operands) / 8;
  p.output_bytes = bits(g.output) / 8;
  const double passes = g.accumulate ? 2 : 1;
  p.traffic = groups * ((g.m + g.n) * g.k * p.operand_bytes + passes * g.m * g.n * p.output_bytes);
  p.multiprocessors = static_cast<double>(gpu.multiprocessors.value);
  const double rate = peak->value.in(flop_per_second) * fit.tensor * (1 - fit.throttle * conditions.sustained);
  p.math = 2 * p.multiprocessors / rate;
  p.memory = conditions.miss * p.traffic / (fit.memory * gpu.hbm_bandwidth.value.in(byte_per_second));
  p.load = (fit.load * (1 * byte)).in(second);
  p.k_step = fit.k_step.in(second);
  p.epilogue = (fit.epilogue * (1 * byte)).in(second);
  p.split = fit.split.in(second);
  p.leak = fit.leak;
  return p;
}

struct Candidate {
  double tile_m = 0, tile_n = 0, split = 1, tiles = 0, waves = 0, tensor = 0, memory = 0;
  double time = -1;
};

Candidate candidate(const Problem& p, double tile_m, double tile_n, double split, double tiles) {
  Candidate c{.tile_m = tile_m, .tile_n = tile_n, .split = split, .tiles = tiles};
  c.waves = std::max(1.0, ceil_to(tiles, p.multiprocessors));
  const double k = p.k / split;
  const double steps = k * p.operand_bytes / 128 * p.k_step;
  const double operands = (std::min(tile_m, p.m) + std::min(tile_n, p.n)) * k * p.operand_bytes * p.load;
  const double inner = std::max(tile_m * tile_n * k * p.math, std::max(steps, operands));
  c.tensor = c.waves * (inner + tile_m * tile_n * p.output_bytes * p.epilogue);
  c.memory = std::max(p.memory, p.traffic * p.load / std::min(tiles, p.multiprocessors));
  c.time = std::max(c.tensor, c.memory) + p.leak * std::min(c.tensor, c.memory);
  // Partial sums go through memory in fp32, once out and once in.
  if (split > 1) c.time += p.split + 8 * split * p.m * p.n * p.load / p.multiprocessors;
  return c;
}

// Smallest time wins; between equals the larger tile, which reads operands less often.
void keep_better(Candidate& best, const Candidate& c) {
  const bool larger = c.tile_m * c.tile_n > best.tile_m * best.tile_n;
  if (best.time < 0 || c.time < best.time || (c.time <= best.time && larger)) best = c;
}

void try_tile(Candidate& best, const Problem& p, double tile_m, double tile_n, bool splits) {
  const double tiles = ceil_to(p.m, tile_m) * ceil_to(p.n, tile_n);
  for (const double split : kSplits) {
    if (split > 1 && (!splits || p.k / split < kShortestSplit || tiles * split > 2 * p.multiprocessors)) break;
    keep_better(best, candidate(p, tile_m, tile_n, split, tiles * split));
  }
}

void try_both(Candidate& best, const Problem& p, std::span<const double> rows, std::span<const double> columns,
              double largest, bool both, bool splits) {
  for (const double row : rows) {
    for (const double column : columns) {
      if (row * column > largest) continue;
      try_tile(best, p, row, column, splits);
      if (both && row != column) try_tile(best, p, column, row, splits);
    }
  }
}

// Integral of ceil from 0 to x: whole steps 1 + 2 + ..., then a part of the next.
double ceil_integral(double x) {
  const double whole = std::floor(x + 1e-9);
  return whole * (whole + 1) / 2 + (x - whole) * (whole + 1);
}
// Mean of ceil(x) when x is drawn evenly around `mean`.
double mean_tiles(double mean, double uneven) {
  if (uneven * mean < 1e-6) return ceil_to(mean, 1);
  const double low = mean * (1 - uneven), high = mean * (1 + uneven);
  return (ceil_integral(high) - ceil_integral(low)) / (high - low);
}

struct GroupedTiles {
  std::span<const double> rows, columns;
};
GroupedTiles grouped_tiles(TileSet set) {
  if (set == TileSet::deepgemm) return {kHalvedRows, kEvery16};
  return {kGroupedRows, kGroupedColumns};
}

GemmTerms terms(const Candidate& c, const GemmFit& fit, Flops flops, double traffic) {
  return {.tile_m = c.tile_m, .tile_n = c.tile_n, .split = c.split, .tiles = c.tiles, .waves = c.waves, .flops = flops,
          .bytes = traffic * byte, .tensor = c.tensor * second, .memory = c.memory * second,
          .time = fit.launch + c.time * second};
}

OpCost to_cost(const GemmTerms& t, const GemmFit& fit) {
  OpCost cost{.flops = t.flops, .bytes = t.bytes, .time = t.time, .spread = fit.spread.at(t.time), .bound_by = "tensor",
              .source = fit.source};
  if (t.memory > t.tensor) cost.bound_by = "HBM";
  if (fit.launch > max(t.memory, t.tensor)) cost.bound_by = "launch";
  return cost;
}

}  // namespace

GemmTerms gemm_terms(const Gemm& gemm, const Gpu& gpu, const GemmFit& fit, GemmConditions conditions) {
  const Problem p = problem(gemm, 1, gpu, fit, conditions);
  Candidate best;
  switch (fit.tiles) {
    case TileSet::fine: try_both(best, p, kLong, kFine, largest_tile(gpu), true, true); break;
    case TileSet::cutlass: try_both(best, p, kCutlassRows, kCutlassColumns, largest_tile(gpu), false, false); break;
    case TileSet::deepgemm: try_both(best, p, kLong, kEvery16, largest_tile(gpu), false, false); break;
  }
  return terms(best, fit, 2 * gemm.m * gemm.n * gemm.k * flop, p.traffic);
}

GemmTerms gemm_terms(const GroupedGemm& gemm, const Gpu& gpu, const GemmFit& fit, GemmConditions conditions) {
  const Problem p = problem(gemm, gemm.groups, gpu, fit, conditions);
  Candidate best;
  const auto [rows, columns] = grouped_tiles(fit.tiles);
  for (const double tile_m : rows) {
    for (const double tile_n : columns) {
      if (tile_m * tile_n > largest_tile(gpu)) continue;
      const double tiles = p.groups * mean_tiles(p.m / tile_m, conditions.uneven) * ceil_to(p.n, tile_n);
      keep_better(best, candidate(p, tile_m, tile_n, 1, tiles));
    }
  }
  GemmTerms grouped = terms(best, fit, 2 * gemm.groups * gemm.m * gemm.n * gemm.k * flop, p.traffic);
  grouped.time += gemm.groups * fit.expert;
  return grouped;
}

OpCost cost(const Gemm& gemm, const Gpu& gpu, const GemmFit& fit) { return to_cost(gemm_terms(gemm, gpu, fit), fit); }
OpCost cost(const GroupedGemm& gemm, const Gpu& gpu, const GemmFit& fit) {
  return to_cost(gemm_terms(gemm, gpu, fit), fit);
}

}  // namespace moeline
