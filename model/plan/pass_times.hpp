// How long is one pass of a chunk, and how long are two side by side?
//
//   alone    F ──compute──exchange──compute──   then B
//   paired   F and B of different micro-batches: the exchanges of one hide behind the compute of the other,
//            time = max(compute + contention, exchange)     contention = taken x exchange, as long as compute lasts
//
// Assumes that the two interleave finely enough for the longer of the two lanes to run without a gap. DualPipe and Megatron's
// combined 1F1B do this layer by layer; what they lose at the seams is not modelled.
#pragma once

#include "plan/parts.hpp"

namespace moeline {

// One micro-batch through a chunk, or through all chunks of a stage.
struct PassTimes {
  Seconds time;      // alone
  Seconds exchange;  // of it, dispatch and combine
  Seconds network;   // dispatch and combine in all, what hides within the layer too
  Seconds weight;    // of it, gradients of weights
  Seconds compute() const { return time - exchange; }
};

struct ChunkSum {
  PassTimes forward, backward;
  const PassTimes& pass(bool is_forward) const { return is_forward ? forward : backward; }
};

ChunkSum chunk_sum(const StepParts& parts, const ModelSpec& model, const StageContent& chunk);

struct Pair {
  Seconds time, contention;
  Seconds exposed;   // exchange that no compute covers
};

// `taken`: share of the multiprocessors that the exchange occupies.
Pair pair_of(const PassTimes& forward, const PassTimes& backward, double taken);

// What pairing changes in a step, or in a pass.
struct Saving {
  Seconds hidden, contention;
};

}  // namespace moeline
