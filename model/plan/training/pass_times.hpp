// How long is one pass of a chunk, and how long are two side by side?
//
//   alone    F ──compute──exchange──compute──   then B
//   paired   F and B of different micro-batches: the exchanges of one hide behind the compute of the other,
//            time = max(compute + contention, exchange)     contention = taken x exchange, as long as compute lasts
//
// Assumes that the two interleave finely enough for the longer of the two lanes to run without a gap. DualPipe and Megatron's
// combined 1F1B do this layer by layer; what they lose at the seams is not modelled.
#pragma once

#include "units.hpp"

namespace moeline {

// One micro-batch through a part of the model, a chunk, or all chunks of a stage.
struct PassTimes {
  Seconds time;      // alone
  Seconds exchange;  // of it, dispatch and combine
  Seconds network;   // dispatch and combine in all, what hides within the layer too
  Seconds weight;    // of it, gradients of weights, which nothing within the step waits for
  Seconds compute() const { return time - exchange; }
};

inline void add(PassTimes& sum, const PassTimes& part, double times) {
  sum.time += times * part.time;
  sum.exchange += times * part.exchange;
  sum.network += times * part.network;
  sum.weight += times * part.weight;
}

struct Pair {
  Seconds time, contention;
  Seconds exposed;   // exchange that no compute covers
};

// `taken`: share of the multiprocessors that the exchange occupies. What hides within a layer has been paid for there.
inline Pair pair_of(const PassTimes& forward, const PassTimes& backward, double taken) {
  const Seconds compute = forward.compute() + backward.compute();
  Pair pair;
  pair.contention = min(taken * (forward.exchange + backward.exchange), taken / (1 - taken) * compute);
  pair.time = max(compute + pair.contention, forward.network + backward.network);
  pair.exposed = pair.time - compute - pair.contention;
  return pair;
}

}  // namespace moeline
