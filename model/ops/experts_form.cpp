#include "ops/experts_form.hpp"

#include <algorithm>
#include <cmath>

#include "ops/builder.hpp"

namespace moeline {
namespace {

double real(std::int64_t value) { return static_cast<double>(value); }

struct Rows {
  double all, hit, each, hidden, width;
};

Rows rows_of(const ExpertsCall& call) {
  const double experts = real(call.moe.experts), all = call.tokens * real(call.moe.top_k) / call.ranks;
  const double hit = expected_experts_hit(experts, real(call.moe.top_k), call.tokens) / call.ranks;
  return {all, hit, all / hit, call.hidden, real(call.moe.width)};
}

constexpr std::string_view kGroup = "experts";

Elementwise pass(double read, double written) { return {bf16(read), bf16(written)}; }

// SiLU of gate, times up: two operators, or one pass where compiled.
void activation(StepBuilder& b, const ExpertsCall& call, double elements) {
  if (call.compile == Compile::none) {
    b.add(kGroup, "SiLU", pass(elements, elements));
    b.add(kGroup, "gate x up", pass(2 * elements, elements));
  } else {
    b.add(kGroup, "SwiGLU", pass(2 * elements, elements));
  }
}

// Rows of all experts, one behind the other: input and output, gate and up, activation.
Bytes row_tensors(double rows, const Rows& r) { return bf16(rows * (2 * r.hidden + 3 * r.width)); }

ExpertsForm eager(const ExpertsCall& call, const Recipe& recipe) {
  const Rows r = rows_of(call);
  StepBuilder once(Phase::forward, recipe), each(Phase::forward, recipe);
  const Bytes mask = 8 * call.tokens * real(call.moe.top_k * call.moe.experts) * byte;  // one-hot in int64
  once.add(kGroup, "one-hot mask", Elementwise{mask, mask});
  each.add(kGroup, "gather rows", Permute{bf16(r.each * r.hidden), bf16(r.each * r.hidden)});
  each.add(kGroup, "gate+up", Gemm{.m = r.each, .n = 2 * r.width, .k = r.hidden});
  activation(each, call, r.each * r.width);
  each.add(kGroup, "down", Gemm{.m = r.each, .n = r.hidden, .k = r.width});
  each.add(kGroup, "scale", pass(r.each * r.hidden, r.each * r.hidden));
  each.add(kGroup, "add to tokens", pass(2 * r.each * r.hidden, r.each * r.hidden));
  // Mask: one_hot, permute, sum, nonzero. An expert: where, two gathers, two products, chunk, SiLU, two products by
  // element, cast, index_add.
  return {.once = once.take(), .each = each.take(), .experts = r.hit, .temporary = mask + row_tensors(r.each, r),
          .operators = 4 + 11 * r.hit};
}

ExpertsForm batched(const ExpertsCall& call, const Recipe& recipe) {
  const Rows r = rows_of(call);
  StepBuilder b(Phase::forward, recipe);
  const double up = r.all * 2 * r.width * r.hidden, down = r.all * r.width * r.hidden;
  const bool copies = call.compile != Compile::max_autotune;
  b.add(kGroup, "gather rows", Permute{bf16(call.tokens * r.hidden), bf16(r.all * r.hidden)});
  if (copies) b.add(kGroup, "gather gate+up weights", Permute{bf16(up), bf16(up)});
  b.add(kGroup, "gate+up", GroupedGemm{.groups = r.all, .m = 1, .n = 2 * r.width, .k = r.hidden});
  activation(b, call, r.all * r.width);
  if (copies) b.add(kGroup, "gather down weights", Permute{bf16(down), bf16(down)});
  b.add(kGroup, "down", GroupedGemm{.groups = r.all, .m = 1, .n = r.hidden, .k = r.width});
  b.add(kGroup, "weighted sum", pass(r.all * r.hidden, call.tokens * r.hidden));
  // Compiled code frees the first copy before it makes the second.
  const Bytes weights = call.compile == Compile::none ? bf16(up + down) : copies ? bf16(up) : Bytes{};
  return {.once = b.take(), .each = {}, .experts = 0, .temporary = weights + row_tensors(r.all, r), .operators = 16};
}

constexpr std::string_view kSort = "sort by expert";

ExpertsForm grouped(const ExpertsCall& call, const Recipe& recipe) {
  const Rows r = rows_of(call);
  StepBuilder b(Phase::forward, recipe), each(Phase::forward, recipe);
  const Bytes keys = 8 * r.all * byte;
  for (int passes = 0; passes < 4; ++passes) b.add(kGroup, kSort, Elementwise{keys, keys});  // argsort, histogram, sums, inverse
  b.add(kGroup, "gather rows", Permute{bf16(call.tokens * r.hidden), bf16(r.all * r.hidden)});
  if (call.grouped_kernel) {
    b.add(kGroup, "gate+up", GroupedGemm{.groups = r.hit, .m = r.each, .n = 2 * r.width, .k = r.hidden});
  } else {
    each.add(kGroup, "gate+up", Gemm{.m = r.each, .n = 2 * r.width, .k = r.hidden});
    each.add(kGroup, "down", Gemm{.m = r.each, .n = r.hidden, .k = r.width});
  }
  activation(b, call, r.all * r.width);
  if (call.grouped_kernel) b.add(kGroup, "down", GroupedGemm{.groups = r.hit, .m = r.each, .n = r.hidden, .k = r.width});
  b.add(kGroup, "scale", pass(r.all * r.hidden, r.all * r.hidden));
  b.add(kGroup, "add to tokens", pass(2 * r.all * r.hidden, call.tokens * r.hidden));
  const double loop = call.grouped_kernel ? 0 : 2 * real(call.moe.experts) / call.ranks;  // experts without rows too
  return {.once = b.take(), .each = each.take(), .experts = call.grouped_kernel ? 0 : r.hit,
          .temporary = row_tensors(r.all, r) + 4 * keys, .operators = 20, .launches = loop};
}

ExpertsForm deepgemm(const ExpertsCall& call, const Recipe& recipe) {
  constexpr double kBlock = 128;  // rows of one expert are padded to it
  const Rows r = rows_of(call);
  const double padded = std::ceil(r.each / kBlock - 1e-9) * kBlock;
  StepBuilder b(Phase::forward, recipe);
  const Bytes keys = 8 * r.all * byte;
  b.add(kGroup, kSort, Elementwise{keys, keys});
  b.add(kGroup, "gather rows", Permute{bf16(call.tokens * r.hidden), bf16(r.hit * padded * r.hidden)});
  b.add(kGroup, "gate+up", GroupedGemm{.groups = r.hit, .m = padded, .n = 2 * r.width, .k = r.hidden});
  b.add(kGroup, "SwiGLU", pass(2 * r.all * r.width, r.all * r.width));
  b.add(kGroup, "down", GroupedGemm{.groups = r.hit, .m = padded, .n = r.hidden, .k = r.width});
  b.add(kGroup, "weighted sum", pass(r.all * r.hidden, call.tokens * r.hidden));
  return {.once = b.take(), .each = {}, .experts = 0, .temporary = row_tensors(r.hit * padded, r) + keys, .operators = 8};
}

}  // namespace

ExpertsForm experts_form(ExpertsBackend backend, const ExpertsCall& call) {
  static const Recipe recipe;  // bf16 throughout
  switch (backend) {
    case ExpertsBackend::eager: return eager(call, recipe);
    case ExpertsBackend::batched_mm: return batched(call, recipe);
    case ExpertsBackend::grouped_mm: return grouped(call, recipe);
    case ExpertsBackend::deepgemm: return deepgemm(call, recipe);
  }
  return {};
}

}  // namespace moeline
