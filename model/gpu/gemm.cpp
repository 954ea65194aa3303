#include "gpu/gemm.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <span>

#include "error.hpp"

namespace moeline {
namespace {

// Tile edges that libraries ship: long edge first; both orientations are tried, area bounded by accumulator space.
constexpr std::array<std::size_t, 3> kLong{3, 7, 11};  // of kFine
constexpr std::array kFine{16.0, 32.0, 48.0, 64.0, 80.0, 96.0, 112.0, 128.0, 160.0, 192.0, 224.0, 256.0};
constexpr std::array kPowers{64.0, 128.0, 256.0};
constexpr std::array kCutlassRows{128.0, 256.0};
constexpr std::array kCutlassColumns{64.0, 128.0, 192.0, 256.0};
constexpr std::array kEvery16{16.0,  32.0,  48.0,  64.0,  80.0,  96.0,  112.0, 128.0,
                              144.0, 160.0, 176.0, 192.0, 208.0, 224.0, 240.0, 256.0};
constexpr std::array kGroupedRows{8.0, 16.0, 32.0, 64.0, 128.0, 256.0};
constexpr std::array kGroupedColumns{64.0, 128.0, 256.0};
// DeepGEMM's grouped tiles have 128 rows, of which a half without rows is not multiplied.
constexpr std::array kHalvedRows{64.0, 128.0};
constexpr std::array kSplits{2.0, 3.0, 4.0, 6.0, 8.0, 16.0, 32.0};
constexpr double kShortestSplit = 256;  // elements of k that one split keeps

// Expected loads are not whole; 128.0000001 rows are 128.
double ceil_to(double value, double step) {
  const double share = value / step - 1e-9;
  const auto whole = static_cast<double>(static_cast<std::int64_t>(share));  // std::ceil is a call without SSE 4.1
  return whole < share ? whole + 1 : whole;
}

// Accumulators: 128 x 256 on Hopper and before; a pair of multiprocessors shares 256 x 256 on Blackwell.
double largest_tile(const Gpu& gpu) {
  return gpu.architecture == "sm_100" || gpu.architecture == "sm_103" ? 256.0 * 256 : 128.0 * 256;
}

// One product, reduced to what the candidates need; times in seconds, sizes in bytes.
struct Problem {
  double groups, m, n, k;
  double traffic;  // A, B and C once, all groups
  double multiprocessors;
  double math;            // seconds of one output element's k multiply-adds on one multiprocessor
  double memory;          // seconds of the traffic at full bandwidth
  double loads;           // seconds of the traffic through one multiprocessor
  double line;            // one multiprocessor reading one row or column of k elements
  double steps;           // latency of all steps along k
  double epilogue;        // per output element
  double split, partial;  // fixed, and writing and reading the partial sums of one split
  double leak;
};

template <class Product>
Problem problem(const Product& g, double groups, const Gpu& gpu, const GemmFit& fit, GemmConditions conditions) {
  const std::optional<Fact<FlopsPerSecond>>& peak = gpu.dense_peak.of(g.operands);
  MOELINE_EXPECT(peak.has_value());  // legality is checked before anything is priced
  Problem p{.groups = groups, .m = g.m, .n = g.n, .k = g.k};
  const double operand_bytes = bits(g.operands) / 8, output_bytes = bits(g.output) / 8;
  const double passes = g.accumulate ? 2 : 1;
  p.traffic = groups * ((g.m + g.n) * g.k * operand_bytes + passes * g.m * g.n * output_bytes);
  p.multiprocessors = static_cast<double>(gpu.multiprocessors.value);
  const double rate = peak->value.in(flop_per_second)*fit.tensor * (1 - fit.throttle * conditions.sustained);
  p.math = 2 * p.multiprocessors * g.k / rate;
  p.memory = conditions.miss * p.traffic / (fit.memory * gpu.hbm_bandwidth.value.in(byte_per_second));
  const double load = (fit.load * (1 * byte)).in(second);
  p.loads = p.traffic * load;
  p.line = g.k * operand_bytes * load;
  p.steps = g.k * operand_bytes / 128 * fit.k_step.in(second);
  p.epilogue = output_bytes * (fit.epilogue * (1 * byte)).in(second);
  p.split = fit.split.in(second);
  p.partial = 8 * g.m * g.n * load / p.multiprocessors;  // through memory in fp32, once out and once in
  p.leak = fit.leak;
  return p;
}

// A tile edge along m or n: how many cover the length, and how much of one is filled.
struct Edge {
  double size, count, filled;
};

struct Edges {
  std::array<Edge, 16> list;
  std::size_t size;
};

Edges edges(std::span<const double> sizes, double length) {
  Edges e{.list = {}, .size = sizes.size()};
  for (std::size_t i = 0; i < e.size; ++i)
    e.list[i] = {sizes[i], ceil_to(length, sizes[i]), std::min(sizes[i], length)};
  return e;
}

struct Candidate {
  double tile_m = 0, tile_n = 0, split = 1, tiles = 0, waves = 0, tensor = 0, memory = 0;
  double time = -1;
};

double combined(const Problem& p, double tensor, double memory) {
  return std::max(tensor, memory) + p.leak * std::min(tensor, memory);
}

// Few tiles cannot draw the full bandwidth.
double memory_time(const Problem& p, double tiles) {
  return std::max(p.memory, p.loads / std::min(tiles, p.multiprocessors));
}

// One multiprocessor's main loop over all of k.
double main_loop(const Problem& p, const Edge& row, const Edge& column) {
  return std::max(row.size * column.size * p.math, std::max(p.steps, (row.filled + column.filled) * p.line));
}

// Smallest time wins; between equals the larger tile, which reads operands less often.
void keep_better(Candidate& best, const Candidate& c) {
  const bool larger = c.tile_m * c.tile_n > best.tile_m * best.tile_n;
  if (best.time < 0 || c.time < best.time || (c.time <= best.time && larger)) best = c;
}

void keep_better(Candidate& best, const Problem& p, const Edge& row, const Edge& column, double split, double tiles,
                 double waves, double loop) {
  const double tensor = waves * (loop / split + row.size * column.size * p.epilogue), memory = memory_time(p, tiles);
  double time = combined(p, tensor, memory);
  if (split > 1) time += p.split + split * p.partial;
  if (best.time >= 0 && time > best.time) return;
  keep_better(best, {row.size, column.size, split, tiles, waves, tensor, memory, time});
}

// No candidate of this tile without splitting is faster: the waves are at least the share of the machine it fills.
double floor_of(const Problem& p, const Edge& row, const Edge& column, double tiles, double loop) {
  constexpr double kRounding = 1 - 1e-8;  // of ceil_to
  const double filled = std::max(1.0, tiles / p.multiprocessors * kRounding);
  return combined(p, filled * (loop + row.size * column.size * p.epilogue), p.memory);
}

void try_tile(Candidate& best, const Problem& p, const Edge& row, const Edge& column, bool splits) {
  const double tiles = row.count * column.count, loop = main_loop(p, row, column);
  if (best.time < 0 || floor_of(p, row, column, tiles, loop) <= best.time) {
    keep_better(best, p, row, column, 1, tiles, std::max(1.0, ceil_to(tiles, p.multiprocessors)), loop);
  }
  if (!splits) return;
  for (const double split : kSplits) {
    const double parts = tiles * split;
    if (p.k < kShortestSplit * split || parts > 2 * p.multiprocessors) return;
    if (p.memory + p.split + split * p.partial > best.time) return;  // and longer for every further split
    keep_better(best, p, row, column, split, parts, parts > p.multiprocessors ? 2 : 1, loop);
  }
}

// A tile that is mostly near the best bounds all others from the start; without an area, it loses to its equals.
Candidate bound_by(const Problem& p, const Edge& row, const Edge& column) {
  Candidate bound;
  try_tile(bound, p, row, column, false);
  bound.tile_m = bound.tile_n = 0;
  return bound;
}

// The plain search tries 60 tiles with up to 8 splits each, in the same order.
Candidate fine_search(const Problem& p, double largest) {
  const Edges rows = edges(kFine, p.m), columns = edges(kFine, p.n);
  Candidate best = bound_by(p, rows.list[kLong[1]], columns.list[kLong[2]]);
  for (const std::size_t wide : kLong) {
    for (std::size_t other = 0; other < rows.size; ++other) {
      if (kFine[wide] * kFine[other] > largest) break;
      try_tile(best, p, rows.list[wide], columns.list[other], true);
      if (wide != other) try_tile(best, p, rows.list[other], columns.list[wide], true);
    }
  }
  return best;
}

Candidate search(const Problem& p, const Edges& rows, const Edges& columns, double largest) {
  Candidate best;
  for (std::size_t i = 0; i < rows.size; ++i) {
    for (std::size_t j = 0; j < columns.size && rows.list[i].size * columns.list[j].size <= largest; ++j) {
      try_tile(best, p, rows.list[i], columns.list[j], false);
    }
  }
  return best;
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
  return {.tile_m = c.tile_m,
          .tile_n = c.tile_n,
          .split = c.split,
          .tiles = c.tiles,
          .waves = c.waves,
          .flops = flops,
          .bytes = traffic * byte,
          .tensor = c.tensor * second,
          .memory = c.memory * second,
          .launch = fit.launch,
          .leak = fit.leak * std::min(c.tensor, c.memory) * second,
          .splitting = c.split > 1 ? (c.time - std::max(c.tensor, c.memory)) * second - fit.leak * std::min(c.tensor, c.memory) * second : Seconds{},
          .time = fit.launch + c.time * second};
}

OpCost to_cost(const GemmTerms& t, const GemmFit& fit) {
  OpCost cost{.flops = t.flops,
              .bytes = t.bytes,
              .time = t.time,
              .spread = fit.spread.at(t.time),
              .bound_by = "tensor",
              .source = fit.source};
  if (t.memory > t.tensor) cost.bound_by = "HBM";
  if (fit.launch > max(t.memory, t.tensor)) cost.bound_by = "launch";
  return cost;
}

}  // namespace

GemmTerms gemm_terms(const Gemm& gemm, const Gpu& gpu, const GemmFit& fit, GemmConditions conditions) {
  const Problem p = problem(gemm, 1, gpu, fit, conditions);
  const double largest = largest_tile(gpu);
  const Candidate best = fit.tiles == TileSet::fine      ? fine_search(p, largest)
                         : fit.tiles == TileSet::cutlass ? search(p, edges(kCutlassRows, p.m), edges(kCutlassColumns, p.n), largest)
                                                         : search(p, edges(kPowers, p.m), edges(kEvery16, p.n), largest);
  GemmTerms dense = terms(best, fit, 2 * gemm.m * gemm.n * gemm.k * flop, p.traffic);
  if (fit.surface) {
    dense.correction = std::exp(fit.surface->at(std::array{std::log2(gemm.m), std::log2(gemm.n), std::log2(gemm.k)}));
    dense.time *= dense.correction;
  }
  return dense;
}

GemmTerms gemm_terms(const GroupedGemm& gemm, const Gpu& gpu, const GemmFit& fit, GemmConditions conditions) {
  const Problem p = problem(gemm, gemm.groups, gpu, fit, conditions);
  const auto [row_sizes, column_sizes] = grouped_tiles(fit.tiles);
  Edges rows = edges(row_sizes, p.m);
  const Edges columns = edges(column_sizes, p.n);
  for (std::size_t i = 0; i < rows.size; ++i) {
    Edge& row = rows.list[i];
    if (conditions.uneven > 0) row.count = mean_tiles(p.m / row.size, conditions.uneven);
    row.count *= p.groups;
  }
  const Candidate best = search(p, rows, columns, largest_tile(gpu));
  GemmTerms grouped = terms(best, fit, 2 * gemm.groups * gemm.m * gemm.n * gemm.k * flop, p.traffic);
  grouped.experts = gemm.groups * fit.expert;
  grouped.time += grouped.experts;
  return grouped;
}

OpCost cost(const Gemm& gemm, const Gpu& gpu, const GemmFit& fit) { return to_cost(gemm_terms(gemm, gpu, fit), fit); }
OpCost cost(const GroupedGemm& gemm, const Gpu& gpu, const GemmFit& fit) {
  return to_cost(gemm_terms(gemm, gpu, fit), fit);
}

}  // namespace moeline
