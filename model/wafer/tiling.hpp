// How many sequences fit one attention tile (B), and how many tiles fit one micro-batch (G)?
//
//   B = largest with the memory list at G = 1 inside the SRAM       published: B is set by attention's peak memory
//   G <= largest with the memory list at G B sequences inside it    published: experts run on all G B; G set by hand
//   G <= sequences of a step on one system / B
// Which G of those is quickest, plan/wafer finds by pricing each: no formula for G has been published. A set of
// candidates that does not depend on any rate keeps the answer monotone: faster lines can never slow it down.
#pragma once

#include <optional>
#include <vector>

#include "wafer/memory.hpp"

namespace moeline {

struct TileLimits {
  std::int64_t tile = 0;             // B
  std::int64_t tile_cap = 0;         // largest B that SRAM holds at G = 1; 0: not even one sequence
  std::int64_t tiles_in_memory = 0;  // largest G that SRAM holds; 0: none
  std::int64_t tiles_in_batch = 0;   // G that the step's sequences fill
};

// `plan` gives everything but tile and sequences; `tile` is B where it is given, else 0.
TileLimits tile_limits(const SramContext& context, TilePlan plan, Bytes capacity, std::int64_t tile,
                       std::int64_t sequences);

// Values of G worth pricing, ascending, 1 and `most` among them: all while few, then those that cut `sequences` evenly.
std::vector<std::int64_t> tile_candidates(std::int64_t most, std::int64_t tile, std::int64_t sequences);

}  // namespace moeline
