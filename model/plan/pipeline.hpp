// How long do m micro-batches take through a pipeline of uneven stages?
//
//   stage 0  F0 F1 F2 F3 .. .. .. B0 F4 B1 ...        1F1B; chunk c of a model cut into pp x vpp runs on stage c mod pp
//   stage 1     F0 F1 F2 .. .. B0 F3 B1 ...
//
// Exact simulation on the (stage, micro-batch) grid: every stage runs its passes in the order of its schedule, each when
// its input has arrived. Orders as in Megatron-Core: GPipe, 1F1B, interleaved 1F1B. Closed forms for equal stages,
// bubble = (p-1)/(v m) of the work, are tests.
#pragma once

#include <vector>

#include "spec/parallelism.hpp"
#include "units.hpp"

namespace moeline {

struct ChunkTimes {
  Seconds forward, backward;
};

struct PipelineProblem {
  Schedule schedule = Schedule::one_f_one_b;
  std::int64_t stages = 1, chunks_per_stage = 1, micro_batches = 1;
  std::vector<ChunkTimes> chunks;   // stages x chunks_per_stage, in model order
  Seconds transfer;                 // of one micro-batch between neighbouring stages
  bool transfer_occupies = true;    // false: sends run beside compute and delay only the receiver
};

struct PipelineResult {
  Seconds makespan;
  std::vector<Seconds> busy;        // per stage, occupying transfers included
};

PipelineResult simulate(const PipelineProblem& problem);

// Micro-batch passes a stage holds activations of at its peak, in units of one chunk.
double chunks_in_flight(const PipelineProblem& problem, std::int64_t stage);

}  // namespace moeline
