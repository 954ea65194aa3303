// In which order does a stage run its passes?
//
//   1f1b    F0 F1 F2 F3 B0 F4 B1 ...       p - s - 1 forwards ahead, then one of each; interleaved: chunk after chunk in groups of p
//   zb_h1   F0 F1 F2 F3 I0 W0 F4 I1 W1 ... a backward in two: I, gradients of inputs, which the stage before waits for, and W,
//                                          gradients of weights, which nobody does: s of them wait for the drain
//   zb_h2   twice as far ahead; W waits 2s: no bubble where F = I = W, for twice the memory
//   zb_v    two chunks a stage, down the stages and back up: no bubble, and the memory of 1f1b
//   dualpipe    micro-batches from both ends, every stage holds two pieces of the model; F of one direction runs in one pass
//               with B of the other (F0&B1), so that exchanges of the one hide behind compute of the other
//   dualpipe_v  the same folded: one direction, two chunks a stage, down and back up; half the stages
//
// Once warm, a stage repeats one beat of passes, each time `beat` micro-batches further: that is what makes long steps cheap.
// Sources: Megatron-LM; Qi et al., Zero Bubble Pipeline Parallelism (2401.10241) and Pipeline Parallelism with Controllable
// Memory (2405.15362); DeepSeek-V3 report (2412.19437), whose steps the dual orders follow.
#pragma once

#include <vector>

#include "spec/parallelism.hpp"

namespace moeline {

enum class PassKind : std::uint8_t { forward, backward, input_gradient, weight_gradient };

struct Pass {
  PassKind kind = PassKind::forward;
  bool paired = false;          // a forward that runs in one with the backward that follows it
  std::int16_t chunk = 0;       // of the stage
  std::int32_t micro_batch = 0;
};

struct StageOrder {
  std::vector<Pass> passes;
  std::size_t steady = 0, drain = 0;  // where the beats begin and end
};

struct OrderShape {
  Schedule schedule = Schedule::one_f_one_b;
  std::int64_t stages = 1, chunks = 1;  // of one stage
  std::int64_t micro_batches = 1;       // of the step, all directions together

  // Which chunk of the model, in its order, a stage's own chunk is; of one direction followed by the other where
  // micro-batches enter at both ends.
  std::int64_t chunk_at(std::int64_t stage, std::int64_t own) const;
  // Micro-batches enter at chunk 0, and where they run both ways, the other half of them at the middle of the list.
  bool enters(std::int64_t chunk) const;
  bool leaves(std::int64_t chunk) const;
  bool turns(std::int64_t chunk) const;  // hands over to its own stage
  bool operator==(const OrderShape&) const = default;
};

StageOrder order_of(const OrderShape& shape, std::int64_t stage);

// Chunks that one stage runs: two where the schedule folds or runs from both ends, whatever vpp says.
std::int64_t chunks_of(Schedule schedule, std::int64_t vpp);
// Pairs of one stage in which its chunk's forward runs, in a step.
std::int64_t pairs_of(const OrderShape& shape, std::int64_t stage, std::int64_t own);
// Micro-batches further from beat to beat.
std::int64_t beat(const OrderShape& shape);
// Fewest micro-batches that the order can be written for, and what their number must divide by.
std::int64_t least_micro_batches(Schedule schedule, std::int64_t stages);
std::int64_t micro_batch_multiple(Schedule schedule, std::int64_t stages);

// Passes of one chunk whose activations a stage holds at its peak, from forward until the last gradient is made of them.
// Without attention scores (2401.10241, Table 1: 34 sbh and 32 sbh) what W needs is all that I needed.
double chunks_in_flight(const OrderShape& shape, std::int64_t stage);

}  // namespace moeline
