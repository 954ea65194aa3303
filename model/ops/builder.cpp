#include "ops/builder.hpp"

#include <algorithm>
#include <utility>

#include "error.hpp"

namespace moeline {

void StepBuilder::push(std::string_view group, std::string_view name, const Work& work, Part part) {
  const bool network = std::visit([](const auto& w) { return requires { w.group; }; }, work) && !std::holds_alternative<FusedExperts>(work);
  MOELINE_EXPECT(joined_.size() < std::tuple_size_v<decltype(Op::after)>);
  // An op is large and a search makes millions: named here, it is not zeroed first.
  Op& op = step_.emplace_back(Op{.name = name, .group = group, .phase = phase_, .part = part, .in_moe = in_moe_,
                                 .lane = network ? Lane::network : Lane::compute, .work = work});
  op.after[0] = last_;
  std::copy(joined_.begin(), joined_.end(), op.after.begin() + 1);
  joined_.clear();
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

void StepBuilder::quantise(const Tensor& t, Copies copies, Part part) {
  if (!is_quantised(t.type)) return;
  const double count = copies == Copies::both ? 2 : 1;
  // Transformer Engine runs its quantisers expert by expert, but for scales of former steps.
  const bool apart = recipe_.kernels == Kernels::te && (has_block_scales(t.type) || recipe_.maximum_pass);
  // One scale per tensor leaves nothing to do along the other direction but a transposed copy.
  add(t.group, t.name,
      Quantize{.elements = t.elements, .launches = apart ? std::max(1.0, t.experts) : 1, .to = t.type, .copies = count,
               .kernels = recipe_.kernels, .columns = copies == Copies::columns, .read = t.read + (recipe_.maximum_pass ? 2 : 0)},
      part);
  if (recipe_.scales == ScaleLayout::relayout && has_block_scales(t.type)) {
    if (copies != Copies::columns) {
      add("scale relayout", "relayout", Relayout{t.elements, t.type, recipe_.kernels, false}, part);
    }
    if (copies != Copies::rows) {
      add("scale relayout", "relayout", Relayout{t.elements, t.type, recipe_.kernels, t.experts > 0}, part);
    }
  }
  if (recipe_.dequantised) {
    add("dequantise", "to bf16", Elementwise{count * bytes(t.type, t.elements), count * bf16(t.elements)}, part);
  }
}

void StepBuilder::quantise_input(const Tensor& tensor, Part part) {
  quantise(tensor, recipe_.both_ways ? Copies::both : Copies::rows, part);
}
void StepBuilder::quantise_input_again(const Tensor& tensor) {
  if (!recipe_.both_ways) quantise(tensor, Copies::columns);
}
void StepBuilder::quantise_gradient(const Tensor& tensor) {
  if (recipe_.both_ways) return quantise(tensor, Copies::both);
  quantise(tensor, Copies::rows);
  quantise(tensor, Copies::columns);
}

void StepBuilder::weight(double elements, DType type, Part part) {
  if (lora_ != nullptr && is_quantised(lora_->base)) {
    add("dequantise", "frozen weight to bf16", Elementwise{bytes(lora_->base, elements), bf16(elements)}, part);
  }
  if (!is_quantised(type)) return;
  if (recipe_.weights_made == Made::micro_batch) {
    // The kernel for weights of several experts reaches the row-wise rate in both directions.
    add("quantise", "quantise weight", Quantize{.elements = elements, .to = type, .kernels = recipe_.kernels}, part);
    if (recipe_.scales == ScaleLayout::relayout) {
      add("scale relayout", "relayout", Relayout{elements, type, recipe_.kernels, false}, part);
    }
  } else if (recipe_.dequantised) {
    add("dequantise", "weight to bf16", Elementwise{bytes(type, elements), bf16(elements)}, part);
  }
}

void StepBuilder::forward(const Linear& l) {
  if (!l.made && !l.shares_input) quantise_input({.name = "quantise input", .elements = l.m * l.k, .type = l.type}, l.part);
  weight(l.n * l.k, l.type, l.part);
  add(l.group, l.name, Gemm{.m = l.m, .n = l.n, .k = l.k, .operands = multiplied(recipe_, l.type),
                            .software_block = is_quantised(l.type) ? recipe_.software_block : 0}, l.part);
  if (lora_ != nullptr && l.adapted) adapter_forward(*this, *lora_, l.m, l.n, l.k);
}

void StepBuilder::backward(const Linear& l, DType gradient) {
  const DType type = multiplied(recipe_, l.type);
  const double block = is_quantised(l.type) ? recipe_.software_block : 0;
  if (!l.made) quantise_gradient({.name = "quantise gradient", .elements = l.m * l.n, .type = l.type});
  weight(l.n * l.k, l.type, l.part);
  add(l.group, l.name, Gemm{.m = l.m, .n = l.k, .k = l.n, .operands = type, .software_block = block}, l.part);
  if (l.frozen) return;
  if (lora_ != nullptr) {
    if (l.adapted) adapter_backward(*this, *lora_, gradient, l.m, l.n, l.k);
    return;
  }
  if (!l.shares_input) quantise_input_again({.name = "quantise input again", .elements = l.m * l.k, .type = l.type});
  add(l.group, "wgrad", Gemm{.m = l.n, .n = l.k, .k = l.m, .operands = type, .output = gradient, .accumulate = true,
                             .software_block = block}, l.part);
}

Elementwise residual(const DecoderContext& c, double elements) {
  return {bf16(2 * elements), bf16((c.model.dropout ? 1.5 : 1) * elements)};
}
Elementwise summed(double tensors, double elements) { return {bf16(tensors * elements), bf16(elements)}; }

// Into a branch: through the mask, and over all tokens into its bias.
void residual_backward(StepBuilder& builder, const DecoderContext& c, bool has_bias) {
  const double elements = c.shard_tokens() * static_cast<double>(c.model.hidden);
  if (c.model.dropout) builder.add("residuals", "dropout", Elementwise{bf16(1.5 * elements), bf16(elements)});
  if (has_bias && c.extra(ExtraPass::biases)) builder.add("residuals", "bias gradient", Elementwise{bf16(elements), Bytes{}});
}

Elementwise norm_forward(double elements) { return {bf16(elements), bf16(elements)}; }
Elementwise norm_backward(double elements) { return {bf16(2 * elements), bf16(elements)}; }

namespace {

int tensor_exchange(StepBuilder& builder, const DecoderContext& context, CollectiveKind kind, std::string_view name,
                    double width, bool overlapped) {
  if (context.parallelism.tp == 1) return -1;
  const bool whole = !context.train.sequence_parallel;  // every rank has all tokens: nothing to gather, sums to all
  if (whole && kind == CollectiveKind::all_gather) return -1;
  if (whole) kind = CollectiveKind::all_reduce;
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
  const std::string_view name = context.train.sequence_parallel ? "reduce-scatter" : "all-reduce";
  return tensor_exchange(builder, context, CollectiveKind::reduce_scatter, name, width, overlapped);
}

}  // namespace moeline
