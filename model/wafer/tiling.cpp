#include "wafer/tiling.hpp"

#include <algorithm>
#include <set>

namespace moeline {
namespace {

bool fits(const SramContext& context, TilePlan plan, std::int64_t tile, std::int64_t sequences, Bytes capacity) {
  plan.tile = tile;
  plan.sequences = static_cast<double>(sequences);
  return sram(context, plan).total() <= capacity;
}

// The largest n in [0, most] that passes; passing is monotone.
template <class Pass>
std::int64_t largest(std::int64_t most, Pass pass) {
  std::int64_t low = 0, high = most;
  while (low < high) {
    const std::int64_t middle = low + (high - low + 1) / 2;
    if (pass(middle)) {
      low = middle;
    } else {
      high = middle - 1;
    }
  }
  return low;
}

}  // namespace

TileLimits tile_limits(const SramContext& context, TilePlan plan, Bytes capacity, std::int64_t tile,
                       std::int64_t sequences) {
  TileLimits limits;
  limits.tile_cap = largest(sequences, [&](std::int64_t b) { return fits(context, plan, b, b, capacity); });
  limits.tile = tile > 0 ? std::min(tile, sequences) : limits.tile_cap;
  if (limits.tile == 0) return limits;
  limits.tiles_in_batch = (sequences + limits.tile - 1) / limits.tile;
  limits.tiles_in_memory =
      largest(1 << 20, [&](std::int64_t g) { return fits(context, plan, limits.tile, g * limits.tile, capacity); });
  return limits;
}

std::vector<std::int64_t> tile_candidates(std::int64_t most, std::int64_t tile, std::int64_t sequences) {
  constexpr std::int64_t kFew = 64;
  std::set<std::int64_t> set{1, most};
  for (std::int64_t g = 1; g <= std::min(most, kFew); ++g) set.insert(g);
  for (std::int64_t g = kFew; g < most; g *= 2) set.insert(g);
  for (std::int64_t n = 1; n <= 4 * kFew; ++n) {
    const std::int64_t even = (sequences + n * tile - 1) / (n * tile);
    if (even >= 1 && even <= most) set.insert(even);
  }
  return {set.begin(), set.end()};
}

}  // namespace moeline
