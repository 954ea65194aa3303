// A step laid out in time, for a picture: the passes of every stage, and the ops of each kind of pass by lane.
//
//   {"step_seconds", "makespan_seconds", "passes", "spans": [[from, to]...], "before": [[name, lane, seconds]...], "after",
//    "stages": [{"begins", "passes": [[kind, micro_batch, chunk, start, finish, place in "ops"]...]}],
//    "names": [[name, group, bound_by]...], "ops": [{"kind", "where", "seconds", "count", "ops": [[place in "names", lane, start, finish]...]}]}
// kind: F forward, B backward, I and W gradients of inputs and of weights, P a forward beside a backward. Of a step with too
// many passes two spans are written, its beginning and its end: between them the stages repeat their beat.
#pragma once

#include "plan/training/trace.hpp"
#include "spec/reader.hpp"

namespace moeline {

Json timeline_json(const StepTrace& trace, std::size_t most_passes = 6000);

}  // namespace moeline
