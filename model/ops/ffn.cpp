// The feed-forward half of one layer as ops: dense SwiGLU, or router, exchange, experts and shared expert.
#include <algorithm>

#include "ops/builder.hpp"

namespace moeline {
namespace {

double real(std::int64_t value) { return static_cast<double>(value); }

struct Names {
  std::string_view gemm, activation;
};
constexpr Names kDense{"dense FFN GEMM", "dense FFN activation"}, kShared{"shared expert GEMM", "shared expert activation"};

// SwiGLU reads gate and up and writes their product; backward reads those and the gradient and writes two gradients.
Elementwise swiglu_forward(double elements) { return {bf16(2 * elements), bf16(elements)}; }
Elementwise swiglu_backward(double elements) { return {bf16(3 * elements), bf16(2 * elements)}; }

void dense_forward(StepBuilder& b, const DecoderContext& c, double full_width, Names names, Part part) {
  const double hidden = real(c.model.hidden), tokens = c.tokens(), width = full_width / real(c.parallelism.tp);
  const int gathered = gather_tokens(b, c, hidden, c.train.overlap.contains(Overlap::tp));
  b.forward({names.gemm, "gate+up", tokens, 2 * width, hidden, c.recipe.linear, part});
  b.join(gathered);
  b.add(names.activation, "SwiGLU", swiglu_forward(tokens * width), part);
  b.forward({names.gemm, "down", tokens, hidden, width, c.recipe.linear, part});
  scatter_tokens(b, c, hidden, false);
}

void dense_backward(StepBuilder& b, const DecoderContext& c, double full_width, Names names) {
  const double hidden = real(c.model.hidden), tokens = c.tokens(), width = full_width / real(c.parallelism.tp);
  const bool overlap = c.train.overlap.contains(Overlap::tp);
  const int gradient = gather_tokens(b, c, hidden, overlap);
  b.backward({names.gemm, "down", tokens, hidden, width, c.recipe.linear}, c.train.gradient);
  b.join(gradient);
  b.add(names.activation, "SwiGLU", swiglu_backward(tokens * width));
  const int input = gather_tokens(b, c, hidden, true);  // again, for wgrad, behind dgrad
  b.backward({names.gemm, "gate+up", tokens, 2 * width, hidden, c.recipe.linear}, c.train.gradient);
  b.join(input);
  scatter_tokens(b, c, hidden, false);
}

// Sizes of the routed part on one rank (the hottest, when loads differ).
struct Routed {
  double sent;        // rows leaving: shard tokens x top-k
  double rows;        // rows arriving at this rank's experts
  double groups;      // local experts that have rows
  double rows_each;
  double width;       // of one expert, after etp
  double overload;
};

Routed routed(const DecoderContext& c, const MoeFfn& moe) {
  const Parallelism& p = c.parallelism;
  Routed r{};
  r.sent = c.shard_tokens() * real(moe.top_k);
  const ExpertLoad load = expert_load(moe, c.routing, c.shard_tokens() * real(p.ep * p.etp), real(p.ep));
  r.overload = load.overload;
  r.rows = r.sent * real(p.etp) * load.overload;
  r.groups = std::max(1e-9, load.experts_hit);
  r.rows_each = r.rows / r.groups;
  r.width = real(moe.width) / real(p.etp);
  return r;
}

enum class Flow { to_experts, to_tokens };

TokenExchange exchange(const DecoderContext& c, const MoeFfn& moe, DType wire, double overload, Flow flow) {
  return {.tokens = c.shard_tokens(), .copy = bytes(wire, real(c.model.hidden)), .moe = moe,
          .group = expert_group(c.parallelism), .transport = c.train.transport, .overload = overload,
          .combine = flow == Flow::to_tokens};
}

// Rows move from token order to expert order; transports without a permutation of their own need a second sort by
// local expert after the exchange.
Permute permutation(const DecoderContext& c, const Routed& r, bool backward_of_gather) {
  const double hidden = real(c.model.hidden);
  const double tokens_side = c.shard_tokens() * hidden, rows_side = r.rows / real(c.parallelism.etp) * hidden;
  const bool second_sort = c.train.transport == Transport::nccl && c.parallelism.ep > 1 && r.groups > 1;
  const double sorted = second_sort ? rows_side : 0;
  if (backward_of_gather) return {bf16(rows_side + sorted), bf16(tokens_side + sorted)};
  return {bf16(tokens_side + sorted), bf16(rows_side + sorted)};
}

bool exchanges(const DecoderContext& c) { return c.parallelism.ep > 1; }

void etp_collective(StepBuilder& b, const DecoderContext& c, const Routed& r, CollectiveKind kind) {
  if (c.parallelism.etp == 1) return;
  b.add("expert-tensor exchange", kind == CollectiveKind::all_gather ? "all-gather" : "reduce-scatter",
        Collective{kind, bf16(r.rows * real(c.model.hidden)), expert_tensor_group(c.parallelism)});
}

void shared_forward(StepBuilder& b, const DecoderContext& c, const MoeFfn& moe) {
  if (moe.shared_width > 0) dense_forward(b, c, real(moe.shared_width), kShared, Part::shared_expert);
}

void quantise_rows(StepBuilder& b, const DecoderContext& c, double elements, std::string_view name) {
  if (is_quantised(c.recipe.expert)) {
    b.add("quantise", name, Quantize{.elements = elements, .to = c.recipe.expert, .copies = 2}, Part::moe);
  }
}

void experts_forward(StepBuilder& b, const DecoderContext& c, const Routed& r) {
  const double hidden = real(c.model.hidden);
  const DType type = c.recipe.expert;
  quantise_rows(b, c, r.rows * hidden, "quantise rows");
  b.add("expert GEMM", "gate+up", GroupedGemm{r.groups, r.rows_each, 2 * r.width, hidden, type}, Part::moe);
  b.add("expert activation", "SwiGLU", swiglu_forward(r.rows * r.width), Part::moe_activation);
  quantise_rows(b, c, r.rows * r.width, "quantise activation");
  b.add("expert GEMM", "down", GroupedGemm{r.groups, r.rows_each, hidden, r.width, type}, Part::moe);
}

void experts_backward(StepBuilder& b, const DecoderContext& c, const Routed& r) {
  const double hidden = real(c.model.hidden);
  const DType type = c.recipe.expert, gradient = c.train.gradient;
  const auto wgrad = [&](double m, double n) { return GroupedGemm{r.groups, m, n, r.rows_each, type, gradient, true}; };
  quantise_rows(b, c, r.rows * hidden, "quantise gradient");
  b.add("expert GEMM", "down dgrad", GroupedGemm{r.groups, r.rows_each, r.width, hidden, type});
  b.add("expert GEMM", "down wgrad", wgrad(hidden, r.width));
  b.add("expert activation", "SwiGLU", swiglu_backward(r.rows * r.width));
  quantise_rows(b, c, 2 * r.rows * r.width, "quantise gradient");
  b.add("expert GEMM", "gate+up dgrad", GroupedGemm{r.groups, r.rows_each, hidden, 2 * r.width, type});
  b.add("expert GEMM", "gate+up wgrad", wgrad(2 * r.width, hidden));
}

// Softmax or sigmoid scores in fp32, read a few times by top-k and its auxiliary losses.
Elementwise top_k_pass(double tokens, const MoeFfn& moe) {
  const double scores = tokens * real(moe.experts);
  return {bytes(DType::fp32, 2 * scores), bytes(DType::fp32, scores)};
}

void moe_forward(StepBuilder& b, const DecoderContext& c, const MoeFfn& moe) {
  const double hidden = real(c.model.hidden), shard = c.shard_tokens();
  const Routed r = routed(c, moe);
  const bool beside = c.train.overlap.contains(Overlap::shared_expert) && exchanges(c);
  b.add("router", "logits", Gemm{.m = shard, .n = real(moe.experts), .k = hidden, .operands = c.recipe.router}, Part::moe);
  b.add("router", "top-k", top_k_pass(shard, moe), Part::moe);
  if (!beside) shared_forward(b, c, moe);
  b.add("permute", "permute", permutation(c, r, false), Part::moe);
  if (exchanges(c)) {
    const TokenExchange dispatch = exchange(c, moe, c.recipe.dispatch_wire, r.overload, Flow::to_experts);
    if (beside) {
      const int dispatched = b.beside("dispatch", "dispatch", dispatch, Part::moe);
      shared_forward(b, c, moe);
      b.join(dispatched);
    } else {
      b.add("dispatch", "dispatch", dispatch, Part::moe);
    }
  }
  etp_collective(b, c, r, CollectiveKind::all_gather);
  experts_forward(b, c, r);
  etp_collective(b, c, r, CollectiveKind::reduce_scatter);
  if (exchanges(c)) b.add("combine", "combine", exchange(c, moe, c.recipe.combine_wire, r.overload, Flow::to_tokens), Part::moe);
  b.add("permute", "unpermute", permutation(c, r, true), Part::moe);
}

void moe_backward(StepBuilder& b, const DecoderContext& c, const MoeFfn& moe) {
  const double hidden = real(c.model.hidden), shard = c.shard_tokens(), experts = real(moe.experts);
  const Routed r = routed(c, moe);
  b.add("permute", "unpermute", permutation(c, r, false));
  if (exchanges(c)) b.add("combine", "combine backward", exchange(c, moe, DType::bf16, r.overload, Flow::to_experts));
  etp_collective(b, c, r, CollectiveKind::all_gather);
  experts_backward(b, c, r);
  etp_collective(b, c, r, CollectiveKind::reduce_scatter);
  const bool beside = c.train.overlap.contains(Overlap::shared_expert) && exchanges(c) && moe.shared_width > 0;
  int dispatched = -1;
  if (exchanges(c)) {
    const TokenExchange back = exchange(c, moe, DType::bf16, r.overload, Flow::to_tokens);
    if (beside) {
      dispatched = b.beside("dispatch", "dispatch backward", back);
    } else {
      b.add("dispatch", "dispatch backward", back);
    }
  }
  if (moe.shared_width > 0) dense_backward(b, c, real(moe.shared_width), kShared);
  b.join(dispatched);
  b.add("permute", "permute", permutation(c, r, true));
  b.add("router", "top-k", top_k_pass(shard, moe));
  b.add("router", "logits dgrad", Gemm{.m = shard, .n = hidden, .k = experts, .operands = c.recipe.router});
  b.add("router", "logits wgrad", Gemm{.m = experts, .n = hidden, .k = shard, .operands = c.recipe.router,
                                       .output = c.train.gradient, .accumulate = true});
}

}  // namespace

void ffn_forward(StepBuilder& b, const DecoderContext& c, const Ffn& ffn) {
  const double elements = c.shard_tokens() * real(c.model.hidden);
  b.add("norms", "FFN norm", norm_forward(elements), Part::norm);
  if (const MoeFfn* moe = std::get_if<MoeFfn>(&ffn)) {
    b.in_moe(true);
    moe_forward(b, c, *moe);
    b.in_moe(false);
  } else {
    dense_forward(b, c, real(std::get<DenseFfn>(ffn).width), kDense, Part::dense_ffn);
  }
  b.add("residuals", "residual", Elementwise{bf16(2 * elements), bf16(elements)});
}

void ffn_backward(StepBuilder& b, const DecoderContext& c, const Ffn& ffn) {
  const double elements = c.shard_tokens() * real(c.model.hidden);
  if (const MoeFfn* moe = std::get_if<MoeFfn>(&ffn)) {
    b.in_moe(true);
    moe_backward(b, c, *moe);
    b.in_moe(false);
  } else {
    dense_backward(b, c, real(std::get<DenseFfn>(ffn).width), kDense);
  }
  b.add("norms", "FFN norm", norm_backward(elements));
  b.add("residuals", "residual", Elementwise{bf16(2 * elements), bf16(elements)});
}

}  // namespace moeline
