// What does a step do once per step? Gradients are reduced, weights updated and gathered, what was offloaded comes and goes.
//
// Collectives run in buckets behind the last backward and the first forward of the stage: exposed is what these do not cover, and
// never less than one bucket, and what they hide costs the compute beside them multiprocessors.
#pragma once

#include <optional>

#include "gpu/roofline.hpp"
#include "memory/footprint.hpp"
#include "plan/step_cost.hpp"

namespace moeline {

struct StepEnd {
  const MemoryContext& context;
  const ModelMemory& memory;
  const Machine& machine;
  const StageContent& stage;
  Seconds forward, backward;              // of one micro-batch through the stage, as its pipeline runs it
  double micro_batches = 1;
  std::optional<BytesPerSecond> host_link;  // there, where something is offloaded

  void add_to(Breakdown& rows) const;
};

}  // namespace moeline
