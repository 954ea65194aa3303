// A step laid out in time, for a picture: passes of every stage, and the ops of one forward and one backward pass by lane.
//
//   {"makespan_seconds", "passes", "cut_short", "stages": [[kind, micro_batch, chunk, start, finish]...], "ops": [...]}
// kind: F forward, B backward, I and W gradients of inputs and of weights, P a forward and a backward side by side.
#pragma once

#include "plan/trace.hpp"
#include "spec/reader.hpp"

namespace moeline {

// Passes beyond `most` are left out, the earliest of every stage kept.
Json timeline_json(const StepTrace& trace, std::size_t most = 4000);

}  // namespace moeline
