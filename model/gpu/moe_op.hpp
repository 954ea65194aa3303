// How long does one rank take for its routed experts, fused as serving stacks do it?
//
//   t = launch + G(n1, H) + G(H, I) + elementwise + overhead         n1 = 2 I if gated, I per rank
//   G(n, k) = smallest over tiles of max(X, Y) + leak min(X, Y)      grouped product, tiles counted per expert
//     X = waves x max(2 t_m t_n k / (tensor F/S) + epilogue, operand loads, latency of the k steps)
//     Y = bytes of the experts hit and of the rows / (memory BW), or what the busy multiprocessors can load
//   elementwise = (row passes x bytes of permute and activation + token passes x bytes in and out) / BW
//   overhead = ceil(T/S) token + ceil(rows/S) row + experts x expert + routing min(1, (T-1)/63)
// Only experts that were hit are read and computed: that is the one thing to get right. Loads: routing/sampler, or
// measured ones. Source: structure as fitted on 67,000 measured layers (docs/theory/moe-op.md); unit: seconds, bytes.
#pragma once

#include <cstdint>
#include <span>

#include "cost/moe_fit.hpp"
#include "ops/served_work.hpp"
#include "spec/device.hpp"

namespace moeline {

// From the rows of every local expert.
MoeLoad moe_load(std::span<const std::int64_t> loads, double tokens, double tokens_here);

struct GroupedTerms {
  double tile_m = 0, tile_n = 0, tiles = 0, waves = 0;
  Seconds tensor, memory, time;  // X, Y, G
};
struct MoeOpTerms {
  GroupedTerms up, down;
  Seconds elementwise, overhead, time;
  Flops flops;  // useful ones
  Bytes bytes;  // of the two products
};

// What a benchmark does that a model does not: it repeats one layer, whose weights may stay in L2.
struct MoeConditions {
  double miss = 1;  // share of the products' traffic that reaches HBM
};

MoeOpTerms moe_op_terms(const MoeOp& op, const MoeLoad& load, const Gpu& gpu, const MoeOpFit& fit,
                        MoeConditions conditions = {});
OpCost cost(const MoeOp& op, const MoeLoad& load, const Gpu& gpu, const MoeOpFit& fit);

// Weights of the experts hit: what decoding is bound by.
Bytes weights_hit(const MoeOp& op, const MoeLoad& load);

}  // namespace moeline
