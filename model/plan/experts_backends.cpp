#include "plan/experts_backends.hpp"

#include <algorithm>
#include <cmath>

#include "net/collectives.hpp"

namespace moeline {
namespace {

constexpr double kMostTokens = 1 << 16;

bool has_kernels(ExpertsBackend backend, const Gpu& gpu) {
  return backend != ExpertsBackend::deepgemm || gpu.architecture.starts_with("sm_9") || gpu.architecture.starts_with("sm_1");
}

Seconds kernels(const Step& step, const Machine& machine, Source& source) {
  Seconds sum;
  for (const Op& op : step) {
    const OpCost one = cost(op.work, machine);
    sum += one.time;
    source = weakest(source, one.source);
  }
  return sum;
}

BackendRow price(ExpertsBackend backend, const ExpertsCall& call, const Group& group, const Machine& machine) {
  const ExpertsForm form = experts_form(backend, call);
  BackendRow row;
  row.backend = backend;
  row.temporary = form.temporary;
  row.source = Source::measured;
  row.kernels = kernels(form.once, machine, row.source) + form.experts * kernels(form.each, machine, row.source);
  // Compiled code issues its kernels without Python; the loop over experts stays a loop.
  const double operators = call.compile == Compile::none || backend == ExpertsBackend::eager ? form.operators : 0;
  row.host = operators * operator_time() + form.launches * launch_time();
  if (group.size > 1) {
    const Collective sum{CollectiveKind::all_reduce, bytes(DType::bf16, call.tokens * call.hidden), group};
    row.all_reduce = cost(sum, machine.fabric, machine.calibration).time;
  }
  row.time = max(row.kernels, row.host) + row.all_reduce;
  return row;
}

ExpertsBackend fastest_at(const std::vector<ExpertsBackend>& backends, ExpertsCall call, double tokens, const Group& group,
                          const Machine& machine) {
  call.tokens = tokens;
  return *std::min_element(backends.begin(), backends.end(), [&](ExpertsBackend a, ExpertsBackend b) {
    return price(a, call, group, machine).time < price(b, call, group, machine).time;
  });
}

}  // namespace

// Inferred from one run of Qwen1.5-MoE-A2.7B in eager mode (Transformers pull request 42697: 271.8 ms a step, of which
// 24 layers x 40 experts hit x 11 operators are most); of that host, and no better known for another.
Seconds operator_time() { return 23 * microsecond; }
// The same source's grouped_mm row, 64.3 ms: 24 layers x 120 products in a loop, beside 68 operators a layer.
Seconds launch_time() { return 9.3 * microsecond; }

BackendsAnswer compare_backends(const ExpertsCode& code, ExpertsCall call, const Group& group, const Machine& machine) {
  call.compile = code.compile;
  call.grouped_kernel = machine.gpu.architecture != "sm_80";
  std::vector<ExpertsBackend> backends;
  for (const ExpertsBackend backend : code.backends) {
    if (has_kernels(backend, machine.gpu)) backends.push_back(backend);
  }
  BackendsAnswer answer{.rows = {}, .fastest = {}, .compile = code.compile};
  if (backends.empty()) return answer;
  for (const ExpertsBackend backend : backends) answer.rows.push_back(price(backend, call, group, machine));
  for (double tokens = 1; tokens <= kMostTokens; tokens *= 2) {
    const ExpertsBackend best = fastest_at(backends, call, tokens, group, machine);
    if (!answer.fastest.empty() && answer.fastest.back().backend == best) continue;
    double low = tokens / 2, high = tokens;  // it is not the fastest at `low`, and is at `high`
    while (tokens > 1 && high - low > 1) {
      const double middle = std::floor((low + high) / 2);
      (fastest_at(backends, call, middle, group, machine) == best ? high : low) = middle;
    }
    answer.fastest.push_back({high, best});
  }
  return answer;
}

}  // namespace moeline
