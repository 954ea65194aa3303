// How long do m micro-batches take through a pipeline of uneven stages?
//
//   stage 0  F0 F1 F2 F3 .. .. .. B0 F4 B1 ...        every stage runs its passes in the order of its schedule,
//   stage 1     F0 F1 F2 .. .. B0 F3 B1 ...           each when its input has arrived
//
// Exact on the (stage, micro-batch) grid, for any order of plan/training/schedule. Where the beats of all stages repeat, further ones
// are counted, not run. Closed forms for equal stages, such as bubble = (p-1)/(v m) of the work, are tests.
#pragma once

#include <vector>

#include "plan/training/pass_graph.hpp"
#include "units.hpp"

namespace moeline {

struct ChunkTimes {
  Seconds forward, backward;
  Seconds weight{};                 // of backward, what makes gradients of weights and may run later
  Seconds paired{};                 // this chunk's forward in one pass with a backward of its stage's other chunk
  bool operator==(const ChunkTimes&) const = default;
};

struct PipelineProblem {
  Schedule schedule = Schedule::one_f_one_b;
  std::int64_t stages = 1, chunks_per_stage = 1, micro_batches = 1;
  // stages x chunks_per_stage in model order; of one direction followed by the other where micro-batches enter at both ends.
  std::vector<ChunkTimes> chunks;
  Seconds transfer;                 // of one micro-batch between neighbouring stages
  bool transfer_occupies = true;    // false: sends run beside compute and delay only the receiver

  OrderShape shape() const { return {schedule, stages, chunks_per_stage, micro_batches}; }
  // Which of `chunks` a stage's own chunk is.
  std::int64_t chunk_at(std::int64_t stage, std::int64_t own) const { return shape().chunk_at(stage, own); }
  bool operator==(const PipelineProblem&) const = default;
};

// Of a cut, without times.
PipelineProblem pipeline_of(const Parallelism& parallelism, std::int64_t micro_batches);

struct PipelineResult {
  // From step to step. Zero-bubble orders without a common stop (zb_h2, zb_v) check their step after the fact, so that a
  // stage that is done begins the next; else from the first pass of all to the last.
  Seconds makespan;
  std::vector<Seconds> busy;        // per stage, occupying transfers included
};

// Those who ask often keep the graphs between their questions.
PipelineResult simulate(const PipelineProblem& problem, PassGraphs& graphs);
PipelineResult simulate(const PipelineProblem& problem);

struct TimedPass {
  Pass pass;
  Seconds start, finish;            // of both, where it is paired with the next
};

// Every pass of every stage.
std::vector<std::vector<TimedPass>> passes_of(const PipelineProblem& problem);

}  // namespace moeline
