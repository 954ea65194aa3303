// When does every pass of a step run, and every op within it?
//
//   stage 0   [gather][F 0: norm|attention|..][F 1]...[B 0]...[reduction][optimizer]
//   stage 1            .........[F 0]......
//
// The same numbers as the answer's, laid out in time, and only when asked for: an op list per chunk that all its micro-batches
// share, and a start and an end per pass. In a pair of passes compute of the two runs back to back, exchanges beside it.
#pragma once

#include <string>
#include <vector>

#include "plan/evaluate.hpp"
#include "plan/training/pipeline.hpp"

namespace moeline {

// Within its pass, from the pass' start.
struct TracedOp {
  std::string_view name, group;
  Lane lane = Lane::compute;
  Seconds start, finish;
  OpCost cost;
  bool weight_gradient = false;
};

// What one chunk runs; as many ops as its layers have.
struct ChunkOps {
  std::vector<TracedOp> forward, backward, input_gradient, weight_gradient;
  const std::vector<TracedOp>& of(PassKind kind) const;
};

// Before the pipeline starts or after it ends; what of it no compute covers.
struct TracedRest {
  std::string_view name;
  Lane lane = Lane::compute;
  Seconds length;
};

struct StepTrace {
  std::string title;
  PipelineProblem pipeline;                      // one stage with one micro-batch for a layer
  std::vector<std::vector<TimedPass>> stages;
  std::vector<ChunkOps> chunks;                  // by chunk of the pipeline
  std::vector<TracedRest> before, after;         // of the busiest stage; the others wait for it
  Seconds makespan;                              // of the pipeline, as the step counts it
  Seconds step;

  // Of the pipeline's chunks, the one that a pass of a stage runs.
  std::int64_t chunk(std::size_t stage, const Pass& pass) const;
  // Those of the second direction count on from the first's.
  std::int64_t micro_batch(std::size_t stage, const Pass& pass) const;
  // Where stages need not stop together, each begins its step with its first pass.
  Seconds begins(std::size_t stage) const;
};

// Ops of a pair: of forward chunk and backward chunk, in the time that the two take together.
std::vector<TracedOp> paired_ops(const ChunkOps& forward, const ChunkOps& backward, Seconds length);

std::variant<StepTrace, Infeasible> trace_of(const Scenario& scenario, const Calibration& calibration);

}  // namespace moeline
