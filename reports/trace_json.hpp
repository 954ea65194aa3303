// A step in the trace format of Chrome, which Perfetto and chrome://tracing open.
//
//   process = stage    threads: passes, with the ops on their compute lane inside; network; rest of the step
//   arrows follow a micro-batch from stage to stage
// All passes are written; ops only while `most` events are not reached, earliest passes first, so that files stay openable.
#pragma once

#include <string>

#include "plan/training/trace.hpp"

namespace moeline {

std::string trace_json(const StepTrace& trace, std::size_t most = 200'000);

}  // namespace moeline
