#include "ops/builder.hpp"

#include <algorithm>
#include <utility>

#include "error.hpp"

namespace moeline {

void StepBuilder::push(std::string_view group, std::string_view name, const Work& work, Part part) {
  const bool network = std::holds_alternative<Collective>(work) || std::holds_alternative<TokenExchange>(work);
  Op op{.name = name, .group = group, .phase = phase_, .part = part, .in_moe = in_moe_,
        .lane = network ? Lane::network : Lane::compute, .work = work};
  op.after[0] = last_;
  MOELINE_EXPECT(joined_.size() < op.after.size());
  std::copy(joined_.begin(), joined_.end(), op.after.begin() + 1);
  joined_.clear();
  step_.push_back(op);
}

void StepBuilder::add(std::string_view group, std::string_view name, const Work& work, Part part) {
  push(group, name, work, part);
  last_ = static_cast<int>(step_.size()) - 1;
}

int StepBuilder::beside(std::string_view group, std::string_view name, const Work& work, Part part) {
  // What the chain waits for stays for its next op; a side op starts with the chain.
  const std::vector<int> waiting = std::exchange(joined_, {});
  push(group, name, work, part);
  joined_ = waiting;
  return static_cast<int>(step_.size()) - 1;
}

void StepBuilder::join(int op) {
  if (op >= 0) joined_.push_back(op);
}

void StepBuilder::forward(const Linear& linear) {
  if (is_quantised(linear.type)) {
    add("quantise", "quantise input", Quantize{.elements = linear.m * linear.k, .to = linear.type, .copies = 2},
        linear.part);
  }
  add(linear.group, linear.name, Gemm{.m = linear.m, .n = linear.n, .k = linear.k, .operands = linear.type}, linear.part);
}

void StepBuilder::backward(const Linear& linear, DType gradient) {
  if (is_quantised(linear.type)) {
    add("quantise", "quantise gradient", Quantize{.elements = linear.m * linear.n, .to = linear.type, .copies = 2},
        linear.part);
  }
  add(linear.group, linear.name, Gemm{.m = linear.m, .n = linear.k, .k = linear.n, .operands = linear.type}, linear.part);
  add(linear.group, "wgrad", Gemm{.m = linear.n, .n = linear.k, .k = linear.m, .operands = linear.type,
                                  .output = gradient, .accumulate = true}, linear.part);
}

void StepBuilder::append(const Step& other) {
  const int offset = static_cast<int>(step_.size());
  for (Op op : other) {
    bool first = true;
    for (int& index : op.after) {
      if (index >= 0) {
        index += offset;
        first = false;
      }
    }
    if (first) op.after[0] = last_;
    step_.push_back(op);
  }
  last_ = static_cast<int>(step_.size()) - 1;
}

Elementwise norm_forward(double elements) { return {bf16(elements), bf16(elements)}; }
Elementwise norm_backward(double elements) { return {bf16(2 * elements), bf16(elements)}; }

namespace {

int tensor_exchange(StepBuilder& builder, const DecoderContext& context, CollectiveKind kind, std::string_view name,
                    double width, bool overlapped) {
  if (context.parallelism.tp == 1) return -1;
  const Collective exchange{kind, bf16(context.tokens() * width), tensor_group(context.parallelism)};
  if (overlapped) return builder.beside("tensor-parallel exchange", name, exchange);
  builder.add("tensor-parallel exchange", name, exchange);
  return -1;
}

}  // namespace

int gather_tokens(StepBuilder& builder, const DecoderContext& context, double width, bool overlapped) {
  return tensor_exchange(builder, context, CollectiveKind::all_gather, "all-gather", width, overlapped);
}
int scatter_tokens(StepBuilder& builder, const DecoderContext& context, double width, bool overlapped) {
  return tensor_exchange(builder, context, CollectiveKind::reduce_scatter, "reduce-scatter", width, overlapped);
}

}  // namespace moeline
