#include "gpu/megakernel.hpp"

#include <algorithm>
#include <array>
#include <cmath>

namespace moeline {
namespace {

// Grouped FP8 rate of a kernel written for B200 (cursor.com/blog/kernels, 2025-08), and its share of the dense peak
// there.
constexpr double kRate = 2650.0 / 4500;
// Read off two of the eight published rows: V4-Flash at 1 token gives the start, at 32,768 the leak.
constexpr Seconds kStart = 23 * microsecond;
constexpr double kLeak = 0.31;
constexpr double kTileRows = 64;       // finest of the kernel's row tiles
constexpr double kNarrowestTile = 16;  // rows below which products stream weights and no more

}  // namespace

MegakernelTerms megakernel_terms(const Megakernel& kernel, const Gpu& gpu, BytesPerSecond link) {
  const DecodeLayer& l = kernel.layer;
  MegakernelTerms terms{.start = kStart};
  const double rows = kernel.tokens * l.top_k;  // of one rank, as many as it sends
  terms.overload = 1 + std::sqrt(2 * std::log(kernel.ranks) * (1 - 1 / kernel.ranks) / rows);
  const double hit = experts_hit(l, kernel.tokens * kernel.ranks) / kernel.ranks;
  terms.rows_per_expert = rows / hit;
  const bool streams = terms.rows_per_expert < kNarrowestTile;
  const double weights = 3 * l.hidden * l.width * std::min(l.experts / kernel.ranks, hit * terms.overload);
  const double padded = hit * (terms.rows_per_expert * terms.overload + kTileRows / 2);
  terms.tensor = 6 * l.hidden * l.width * padded * flop / (kRate * gpu.dense_peak.fp8->value);
  terms.memory = bytes(kernel.weight, weights) / ((streams ? kWarpShare : 1) * kCopyShare * gpu.hbm_bandwidth.value);
  terms.link = rows * (bytes(kernel.dispatched, l.hidden) + bytes(kernel.combined, l.hidden)) / link;
  std::array list{terms.tensor, terms.memory, terms.link};
  std::sort(list.begin(), list.end());
  terms.time = terms.start + list[2] + kLeak * (list[0] + list[1]);
  return terms;
}

double smallest_minibatch(double multiprocessors, double hidden, double width) {
  return 2 * multiprocessors * 128 * 256 / std::min(2 * width, hidden);
}

Seconds signalling(Direction direction) { return (direction == Direction::push ? 103.0 : 18.0) * microsecond; }

}  // namespace moeline
