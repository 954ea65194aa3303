// What do the experts of one layer do under each backend: which kernels, which temporary tensors, how many operators?
//
// T tokens, k choices, S = T k / ranks rows, N experts hit. Bytes are bf16's.
//   eager       per expert hit: gather, gate+up, SiLU, product, down, scale, scatter-add
//   batched_mm  weights: 3 S H I read and written, then read again, unless the gather is fused; all of it is temporary
//   grouped_mm  rows: S (2H + 3I) of temporary tensors
//   deepgemm    the same rows, padded to 128 an expert
// Counted from the operators of Transformers' experts module (integrations/moe.py); docs/theory/experts-backends.md.
#pragma once

#include "ops/step.hpp"
#include "spec/experts_backend.hpp"

namespace moeline {

// One layer's experts on one of `ranks` that share them; under Hugging Face's expert parallelism all see all tokens.
struct ExpertsCall {
  MoeFfn moe;
  double hidden = 0, tokens = 0, ranks = 1;
  Compile compile = Compile::none;
  bool grouped_kernel = true;  // false: the grouped product is a loop over the experts (before sm_90)
};

struct ExpertsForm {
  Step once, each;            // kernels of the whole, and of one expert
  double experts = 0;         // how often `each` runs
  Bytes temporary;            // at the peak
  double operators = 0;       // issued from Python
  double launches = 0;        // issued by the framework's own loop, without Python between
};

ExpertsForm experts_form(ExpertsBackend backend, const ExpertsCall& call);

}  // namespace moeline
