// How long does a decode step spend in the experts when every warp computes one output, and when it does not?
//
//   warp decode   t = E_hit 3 H I (1 + 1/32) B / (share of copy bandwidth), gate+up and down in two kernels
//   E_hit = E (1 - (1 - k/E)^B)       distinct experts hit by a batch of B tokens
// Nothing is padded, sorted or gathered. The grouped form beside it pays eight launches (sort, pad, gather, quantise,
// two products, scatter, combine) and whole tiles of rows.
// Source: cursor.com/blog/warp-decode, 2026-04: 3.95 TB/s at B = 32, 58 % of the 6.8 TB/s copied on the same B200.
#pragma once

#include "cost/op_cost.hpp"
#include "spec/device.hpp"

namespace moeline {

struct DecodeLayer {
  double experts = 0, top_k = 0, hidden = 0, width = 0;
};

// Share of HBM bandwidth that a copy reaches on B200, 6.8 of 7.7 TB/s; of that, what a warp-per-output kernel reaches.
constexpr double kCopyShare = 6.8 / 7.7;
constexpr double kWarpShare = 3.95 / 6.8;

double experts_hit(const DecodeLayer& layer, double tokens);
OpCost warp_decode(const DecodeLayer& layer, double tokens, const Gpu& gpu, Seconds launch);

}  // namespace moeline
