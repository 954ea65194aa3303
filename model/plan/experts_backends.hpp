// Which experts backend is fastest for how many tokens, and what memory does it take?
//
//   t = max(kernels, operators issued by the host) + all-reduce of the outputs over the expert-parallel ranks
// Hugging Face's expert parallelism leaves every token on every rank: nothing is dispatched, T x H outputs are summed.
#pragma once

#include <vector>

#include "gpu/roofline.hpp"
#include "ops/experts_form.hpp"

namespace moeline {

struct BackendRow {
  ExpertsBackend backend{};
  Seconds time, kernels, host, all_reduce;
  Bytes temporary;
  Source source = Source::bound;
};

// From `tokens` on, until the next.
struct FastestFrom {
  double tokens = 1;
  ExpertsBackend backend{};
};

struct BackendsAnswer {
  std::vector<BackendRow> rows;
  std::vector<FastestFrom> fastest;  // of those asked about; up to 2^16 tokens
  Compile compile{};
};

// Backends that the device has no kernels for are left out. `group` holds the experts' ranks.
BackendsAnswer compare_backends(const ExpertsCode& code, ExpertsCall call, const Group& group, const Machine& machine);

// One operator issued from Python, and one kernel launched by the framework's own loop.
Seconds operator_time();
Seconds launch_time();

}  // namespace moeline
