// The serving question: TTFT, TPOT and throughput of a deployment, what it holds, and how many requests fit.
//
//   op lists -> iteration prices -> steady state of one worker -> x replicas
// Disaggregated: prompts queue at the prefill workers, their cache travels, decode workers see no prompts; the slower side
// sets the rate. A deployment whose weights do not fit, or a rate above what it sustains, is Infeasible.
#pragma once

#include <optional>

#include "plan/evaluate.hpp"
#include "plan/serving/stack.hpp"

namespace moeline {

// `conduct`: of the software, where it is not the stack's own.
Outcome evaluate_serve(const Scenario& scenario, const Calibration& calibration, std::vector<std::string_view> free = {},
                       const std::optional<StackConduct>& conduct = {});

}  // namespace moeline
