#include "gpu/megakernel.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "gpu/quantise.hpp"

namespace moeline {
namespace {

// Grouped FP8 rate of a kernel written for B200 (cursor.com/blog/kernels, 2025-08), and its share of the dense peak
// there.
constexpr double kRate = 2650.0 / 4500;
// Read off two of the eight published rows: V4-Flash at 1 token gives the start, at 32,768 the leak.
constexpr Seconds kStart = 23 * microsecond;
constexpr double kLeak = 0.31;
// Of a link, what DeepEP's second version sustains among eight Blackwell GPUs: 726 of 900 GB/s.
constexpr double kLinkShare = 726.0 / 900;
constexpr double kTileRows = 64;       // finest of the kernel's row tiles
constexpr double kNarrowestTile = 16;  // rows below which products stream weights and no more

}  // namespace

MegakernelTerms megakernel_terms(const Megakernel& kernel, const Gpu& gpu, BytesPerSecond link) {
  const DecodeLayer& l = kernel.layer;
  MegakernelTerms terms{.start = kStart};
  const double rows = kernel.tokens * l.top_k;  // of one rank, as many as it sends
  terms.overload =
      kernel.overload > 0 ? kernel.overload : 1 + std::sqrt(2 * std::log(kernel.ranks) * (1 - 1 / kernel.ranks) / rows);
  const double hit = experts_hit(l, kernel.tokens * kernel.ranks) / kernel.ranks;
  terms.rows_per_expert = rows / hit;
  const bool streams = terms.rows_per_expert < kNarrowestTile;
  const double weights = 3 * l.hidden * l.width * std::min(l.experts / kernel.ranks, hit * terms.overload);
  const double padded = hit * (terms.rows_per_expert * terms.overload + kTileRows / 2);
  terms.tensor = 6 * l.hidden * l.width * padded * flop / (kRate * gpu.dense_peak.fp8->value);
  if (!streams) {
    terms.tensor *= last_wave(minibatch_waves(rows, static_cast<double>(gpu.multiprocessors.value), l.hidden, l.width));
  }
  terms.tensor *= kernel.products;
  terms.memory = (bytes(kernel.weight, weights) + kernel.gradients) /
                 ((streams ? kWarpShare : 1) * kCopyShare * gpu.hbm_bandwidth.value);
  terms.link = rows * (bytes(kernel.dispatched, l.hidden) + bytes(kernel.combined, l.hidden)) / link;
  std::array list{terms.tensor, terms.memory, terms.link};
  std::sort(list.begin(), list.end());
  terms.time = terms.start + list[2] + kLeak * (list[0] + list[1]);
  return terms;
}

namespace {

Megakernel kernel_of(const FusedExperts& e) {
  Megakernel kernel{.layer = {e.experts, e.top_k, e.hidden, e.width},
                    .tokens = e.tokens,
                    .ranks = static_cast<double>(e.group.size),
                    .weight = e.weight,
                    .dispatched = e.dispatched,
                    .combined = e.combined,
                    .overload = e.overload};
  if (e.backward) {
    kernel.products = 1 + 1 / kernel_form(Kernels::fused).wgrad;
    kernel.gradients = bytes(DType::fp32, 2 * e.experts / kernel.ranks * 3 * e.hidden * e.width);
  }
  return kernel;
}

}  // namespace

MegakernelTerms megakernel_terms(const FusedExperts& e, const Machine& machine) {
  const Tier& tier = machine.fabric[tier_of(e.group, machine.fabric)];
  return megakernel_terms(kernel_of(e), machine.gpu, kLinkShare * device_bandwidth(tier));
}

OpCost cost(const FusedExperts& e, const Machine& machine) {
  const MegakernelTerms t = megakernel_terms(e, machine);
  const Source source = machine.calibration.memory.source >= Source::bound ? Source::assumed : Source::extrapolated;
  OpCost result{.flops = kernel_of(e).products * 6 * e.tokens * e.top_k * e.hidden * e.width * flop,
                .bytes = t.memory * machine.gpu.hbm_bandwidth.value,
                .time = t.time,
                .spread = 0.15,
                .bound_by = "tensor",
                .source = source};
  if (t.memory > t.tensor) result.bound_by = "HBM";
  if (t.link > max(t.memory, t.tensor)) result.bound_by = machine.fabric[tier_of(e.group, machine.fabric)].name;
  return result;
}

double minibatch_waves(double rows, double multiprocessors, double hidden, double width) {
  return rows * std::min(2 * width, hidden) / (multiprocessors * 128 * 256);
}

double last_wave(double waves) { return 1 + 0.5 / waves; }

double smallest_minibatch(double multiprocessors, double hidden, double width) {
  return 2 * multiprocessors * 128 * 256 / std::min(2 * width, hidden);
}

Seconds signalling(Direction direction) { return (direction == Direction::push ? 103.0 : 18.0) * microsecond; }

}  // namespace moeline
