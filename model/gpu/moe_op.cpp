#include "gpu/moe_op.hpp"

#include <algorithm>
#include <cmath>

#include "error.hpp"

namespace moeline {
namespace {

constexpr std::array kColumns{64.0, 128.0, 256.0};
constexpr double kWidestRouting = 64;  // tokens that one block still routes

// Device, fit and formats as plain numbers: seconds, bytes.
struct Rates {
  double multiprocessors, largest_tile;
  double math;  // of a multiply-add on one multiprocessor
  double bandwidth;
  double load, k_step, epilogue;
  double row_bytes, weight_bytes;  // of one element
};

struct Grouped {
  double n, k;
  double bytes;  // experts hit, rows in and out
};

double largest_tile(const Gpu& gpu) {
  return gpu.architecture == "sm_100" || gpu.architecture == "sm_103" ? 256.0 * 256 : 128.0 * 256;
}

struct Best {
  double time = -1, tile_m = 0, tile_n = 0, tiles = 0, waves = 0, tensor = 0, memory = 0;
};

Best grouped(const Grouped& g, const MoeLoad& load, const Rates& r, const MoeOpFit& fit, double miss) {
  const double steps = g.k * r.weight_bytes / 128 * r.k_step;
  const double memory = miss * g.bytes / (fit.memory * r.bandwidth);
  Best best;
  for (std::size_t i = 0; i < load.tiles.size(); ++i) {
    const double tile_m = MoeLoad::kHeights[i], tiles_m = load.tiles[i];
    const double filled = load.rows / tiles_m * r.row_bytes;  // rows of A an average tile reads
    for (const double tile_n : kColumns) {
      if (tile_m * tile_n > r.largest_tile) continue;
      const double tiles = tiles_m * std::ceil(g.n / tile_n);
      const double waves = std::max(1.0, std::ceil(tiles / r.multiprocessors - 1e-9));
      const double math = std::max(tile_m, fit.least_rows) * tile_n * g.k * r.math + 2 * tile_m * tile_n * r.epilogue;
      const double operands = (filled + tile_n * r.weight_bytes) * g.k * r.load;
      const double x = waves * std::max({math, operands, steps});
      const double y = std::max(memory, g.bytes * r.load / std::min(tiles, r.multiprocessors));
      const double time = std::max(x, y) + fit.leak * std::min(x, y);
      if (best.time < 0 || time < best.time) best = {time, tile_m, tile_n, tiles, waves, x, y};
    }
  }
  return best;
}

GroupedTerms terms(const Best& b) {
  return {.tile_m = b.tile_m,
          .tile_n = b.tile_n,
          .tiles = b.tiles,
          .waves = b.waves,
          .tensor = b.tensor * second,
          .memory = b.memory * second,
          .time = std::max(0.0, b.time) * second};
}

// Permute, activation, reduction; rows of other ranks are only zeroed and skipped.
double row_bytes(const MoeOp& op, const MoeLoad& load, double element) {
  const double h = op.hidden, rows = load.element_rows;
  return rows * h * element + rows * (2 * op.up_columns() + op.inter * element) + 2 * rows * h +
         2 * (rows - load.rows) * (op.up_columns() + h);
}

// Tokens read in and written out, in bf16.
double token_bytes(const MoeOp& op, const MoeLoad& load) { return 2 * (load.tokens_here + load.tokens) * op.hidden; }

}  // namespace

MoeLoad moe_load(std::span<const std::int64_t> loads, double tokens, double tokens_here) {
  MoeLoad load{.tokens = tokens, .tokens_here = tokens_here};
  load.experts = static_cast<double>(loads.size());
  for (const std::int64_t count : loads) {
    const auto rows = static_cast<double>(count);
    load.rows += rows;
    load.hit += count > 0 ? 1 : 0;
    for (std::size_t i = 0; i < load.tiles.size(); ++i) load.tiles[i] += std::ceil(rows / MoeLoad::kHeights[i]);
  }
  load.element_rows = load.rows;
  return load;
}

Bytes weights_hit(const MoeOp& op, const MoeLoad& load) {
  return load.hit * (op.up_columns() + op.inter) * op.hidden * op.weight_bits / 8 * byte;
}

MoeOpTerms moe_op_terms(const MoeOp& op, const MoeLoad& load, const Gpu& gpu, const MoeOpFit& fit,
                        MoeConditions conditions) {
  const std::optional<Fact<FlopsPerSecond>>& peak = gpu.dense_peak.of(op.activations);
  MOELINE_EXPECT(peak.has_value());  // legality is checked before anything is priced
  Rates r{};
  r.multiprocessors = static_cast<double>(gpu.multiprocessors.value);
  r.largest_tile = largest_tile(gpu);
  r.math = 2 * r.multiprocessors / (fit.tensor * peak->value.in(flop_per_second));
  r.bandwidth = gpu.hbm_bandwidth.value.in(byte_per_second);
  r.load = (fit.load * (1 * byte)).in(second);
  if (load.tokens > load.experts) r.load /= fit.wide;
  r.k_step = fit.k_step.in(second);
  r.epilogue = (fit.epilogue * (1 * byte)).in(second);
  r.row_bytes = bits(op.activations) / 8;
  r.weight_bytes = op.weight_bits / 8;

  const auto product = [&](double n, double k) {
    return Grouped{n, k, load.hit * n * k * r.weight_bytes + load.rows * (k * r.row_bytes + 2 * n)};
  };
  const Grouped up = product(op.up_columns(), op.hidden), down = product(op.hidden, op.inter);
  MoeOpTerms t;
  if (load.rows > 0) {
    t.up = terms(grouped(up, load, r, fit, conditions.miss));
    t.down = terms(grouped(down, load, r, fit, conditions.miss));
  }
  const double moved = fit.row_passes * row_bytes(op, load, r.row_bytes) + fit.token_passes * token_bytes(op, load);
  t.elementwise = moved / r.bandwidth * second;
  t.overhead = std::ceil(load.tokens / r.multiprocessors) * fit.token +
               std::ceil(load.element_rows / r.multiprocessors) * fit.row + load.experts * fit.expert +
               std::clamp((load.tokens - 1) / (kWidestRouting - 1), 0.0, 1.0) * fit.routing;
  t.time = fit.launch + t.up.time + t.down.time + t.elementwise + t.overhead;
  t.flops = 2 * load.rows * (op.up_columns() + op.inter) * op.hidden * flop;
  t.bytes = (up.bytes + down.bytes) * byte;
  return t;
}

OpCost cost(const MoeOp& op, const MoeLoad& load, const Gpu& gpu, const MoeOpFit& fit) {
  const MoeOpTerms t = moe_op_terms(op, load, gpu, fit);
  OpCost cost{.flops = t.flops,
              .bytes = t.bytes,
              .time = t.time,
              .spread = fit.spread,
              .bound_by = "tensor",
              .source = fit.source};
  const Seconds products = t.up.time + t.down.time;
  if (t.up.memory + t.down.memory > t.up.tensor + t.down.tensor) cost.bound_by = "HBM";
  if (t.elementwise > products) cost.bound_by = "HBM";
  if (fit.launch + t.overhead > products + t.elementwise) cost.bound_by = "launch";
  return cost;
}

}  // namespace moeline
