// Low-rank adapters beside frozen weights: of plain projections, and of experts, split or merged.
#include "ops/builder.hpp"

namespace moeline {
namespace {

constexpr std::string_view kGroup = "adapters";

Gemm product(double m, double n, double k, bool accumulate = false) {
  return {.m = m, .n = n, .k = k, .accumulate = accumulate};
}
GroupedGemm products(double groups, double m, double n, double k, bool accumulate = false) {
  return {.groups = groups, .m = m, .n = n, .k = k, .accumulate = accumulate};
}

// dW of small matrices, per expert, along the rows.
GroupedGemm weight_gradient(double groups, double m, double n, double rows, DType gradient) {
  GroupedGemm gemm = products(groups, m, n, rows, true);
  gemm.output = gradient;
  gemm.wgrad = true;
  return gemm;
}

}  // namespace

void adapter_forward(StepBuilder& b, const Lora& lora, double rows, double out, double in) {
  const auto rank = static_cast<double>(lora.rank);
  b.add(kGroup, "x A", product(rows, rank, in));
  b.add(kGroup, "(x A) B", product(rows, out, rank, true));
}

void adapter_backward(StepBuilder& b, const Lora& lora, DType gradient, double rows, double out, double in) {
  const auto rank = static_cast<double>(lora.rank);
  b.add(kGroup, "gradient of x A", product(rows, rank, out));
  b.add(kGroup, "adapter dgrad", product(rows, in, rank, true));
  for (const double width : {out, in}) {
    Gemm wgrad = product(width, rank, rows, true);
    wgrad.output = gradient;
    b.add(kGroup, "adapter wgrad", wgrad);
  }
}

void expert_adapter_forward(StepBuilder& b, const Lora& lora, const ExpertRows& e, double out, double in) {
  const auto rank = static_cast<double>(lora.rank);
  if (lora.adapters == Adapters::split) {
    b.add(kGroup, "x A", products(e.groups, e.rows_each, rank, in));
    b.add(kGroup, "(x A) B", products(e.groups, e.rows_each, out, rank, true));
  } else {
    const double weights = e.experts * out * in;
    b.add(kGroup, "A B", products(e.experts, out, in, rank));
    b.add(kGroup, "W + A B", Elementwise{bf16(2 * weights), bf16(weights)});
  }
}

void expert_adapter_backward(StepBuilder& b, const Lora& lora, const ExpertRows& e, DType gradient, double out, double in) {
  const auto rank = static_cast<double>(lora.rank);
  if (lora.adapters == Adapters::split) {
    b.add(kGroup, "gradient of x A", products(e.groups, e.rows_each, rank, out));
    b.add(kGroup, "adapter dgrad", products(e.groups, e.rows_each, in, rank, true));
    for (const double width : {out, in}) {
      b.add(kGroup, "adapter wgrad", weight_gradient(e.groups, width, rank, e.rows_each, gradient));
    }
  } else {
    b.add(kGroup, "merged wgrad", weight_gradient(e.groups, out, in, e.rows_each, DType::bf16));
    b.add(kGroup, "adapter wgrad", products(e.experts, out, rank, in));
    b.add(kGroup, "adapter wgrad", products(e.experts, rank, in, out));
  }
}

}  // namespace moeline
