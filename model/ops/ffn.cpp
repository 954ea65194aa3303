// The feed-forward half of one layer as ops: dense SwiGLU, or router, exchange, experts and shared expert.
#include <algorithm>
#include <cmath>

#include "ops/builder.hpp"
#include "ops/expert_copies.hpp"

namespace moeline {
namespace {

double real(std::int64_t value) { return static_cast<double>(value); }

struct Names {
  std::string_view gemm, activation;
};
constexpr Names kDense{"dense FFN GEMM", "dense FFN activation"}, kShared{"shared expert GEMM", "shared expert activation"};

// SwiGLU reads gate and up and writes their product; backward reads those and the gradient and writes two gradients.
// Portable layers run it as two kernels, SiLU and product: 2+2 and 4+2 bytes forward, 6+4 and 4+2 backward.
Elementwise swiglu_forward(double elements, const Recipe& r) {
  if (r.kernels == Kernels::megablocks) return {bf16(3 * elements), bf16(2 * elements)};
  return {bf16(2 * elements), bf16(elements)};
}
Elementwise swiglu_backward(double elements, const Recipe& r) {
  if (r.kernels == Kernels::megablocks) return {bf16(5 * elements), bf16(3 * elements)};
  return {bf16(3 * elements), bf16(2 * elements)};
}

// An ungated activation reads one tensor and writes one, with the bias in passing.
Elementwise gelu(double elements, bool backward) { return {bf16((backward ? 2 : 1) * elements), bf16(elements)}; }

// SwiGLU, and the copies of what it writes for the product that follows.
void activation_forward(StepBuilder& b, const Recipe& r, std::string_view group, double elements, DType type, double experts,
                        Part part) {
  if (r.fused_activation && is_quantised(type)) {
    b.quantise_input({.name = "SwiGLU + quantise", .elements = elements, .type = type, .read = 4, .experts = experts,
                      .group = group}, part);
    return;
  }
  b.add(group, "SwiGLU", swiglu_forward(elements, r), part);
}

void activation_backward(StepBuilder& b, const Recipe& r, std::string_view group, double elements, DType type, double experts) {
  if (r.fused_activation && is_quantised(type)) {  // reads gate, up and the gradient for two outputs
    b.quantise_gradient({.name = "SwiGLU + quantise", .elements = 2 * elements, .type = type, .read = 3,
                         .experts = experts, .group = group});
    return;
  }
  b.add(group, "SwiGLU", swiglu_backward(elements, r));
}

// Adapters may be of attention alone.
bool adapted(const DecoderContext& c) { return c.train.lora && c.train.lora->ffn; }

// Gate and up in one product, or in two; up alone.
std::vector<StepBuilder::Linear> first_products(const DecoderContext& c, double width, Names names, bool gated) {
  StepBuilder::Linear first{.group = names.gemm, .name = gated ? "gate+up" : "up", .m = c.tokens(), .n = (gated ? 2 : 1) * width,
                            .k = real(c.model.hidden), .type = c.recipe.linear, .adapted = adapted(c)};
  if (!gated || !c.extra(ExtraPass::projections)) return {first};
  first.name = "gate";
  first.n = width;
  StepBuilder::Linear second = first;
  second.name = "up";
  second.shares_input = true;
  return {first, second};
}

void dense_forward(StepBuilder& b, const DecoderContext& c, double full_width, Names names, Part part, bool gated = true) {
  const double hidden = real(c.model.hidden), tokens = c.tokens(), width = full_width / real(c.parallelism.tp);
  const int gathered = gather_tokens(b, c, hidden, c.train.overlap.contains(Overlap::tp));
  for (StepBuilder::Linear product : first_products(c, width, names, gated)) {
    product.part = part;
    b.forward(product);
  }
  b.join(gathered);
  if (gated) {
    activation_forward(b, c.recipe, names.activation, tokens * width, c.recipe.linear, 0, part);
  } else {
    b.add(names.activation, "GELU", gelu(tokens * width, false), part);
  }
  b.forward({names.gemm, "down", tokens, hidden, width, c.recipe.linear, part, gated && c.recipe.fused_activation, adapted(c)});
  scatter_tokens(b, c, hidden, false);
}

void dense_backward(StepBuilder& b, const DecoderContext& c, double full_width, Names names, bool gated = true) {
  const double hidden = real(c.model.hidden), tokens = c.tokens(), width = full_width / real(c.parallelism.tp);
  const bool overlap = c.train.overlap.contains(Overlap::tp);
  const int gradient = gather_tokens(b, c, hidden, overlap);
  b.backward({names.gemm, "down", tokens, hidden, width, c.recipe.linear, Part::other, false, adapted(c)}, c.train.gradient);
  b.join(gradient);
  if (gated) {
    activation_backward(b, c.recipe, names.activation, tokens * width, c.recipe.linear, 0);
  } else {
    b.add(names.activation, "GELU", gelu(tokens * width, true));
  }
  if (!gated && c.extra(ExtraPass::biases)) b.add(names.activation, "bias gradient", Elementwise{bf16(tokens * width), Bytes{}});
  const int input = gather_tokens(b, c, hidden, true);  // again, for wgrad, behind dgrad
  const std::vector<StepBuilder::Linear> products = first_products(c, width, names, gated);
  for (StepBuilder::Linear product : products) {
    product.made = gated && c.recipe.fused_activation;
    b.backward(product, c.train.gradient);
  }
  b.join(input);
  if (products.size() > 1) b.add(names.gemm, "sum of gradients", summed(static_cast<double>(products.size()), tokens * hidden));
  scatter_tokens(b, c, hidden, false);
}

// Sizes of the routed part on one rank (the hottest, when loads differ).
struct Routed {
  double sent;        // rows leaving: shard tokens x top-k
  double rows;        // rows arriving at this rank's experts
  double experts;     // local ones
  double groups;      // of them, those that have rows
  double rows_each;
  double width;       // of one expert, after etp
  double overload;
  double copies = 0;  // of experts that live elsewhere, with the rows that are not `own`
  double own = 1;
};

BalancerWork balancing(const DecoderContext& c, const MoeFfn& moe) {
  return balancer_work(moe, c.routing, c.shard_tokens(), real(c.parallelism.ep));
}

Routed routed(const DecoderContext& c, const MoeFfn& moe) {
  const Parallelism& p = c.parallelism;
  Routed r{};
  r.sent = c.shard_tokens() * real(moe.top_k);
  const ExpertLoad load = expert_load(moe, c.routing, c.shard_tokens() * real(p.ep * p.etp), real(p.ep));
  r.overload = load.overload;
  r.rows = r.sent * real(p.etp) * load.overload;
  r.experts = real(moe.experts) / real(p.ep);
  r.groups = std::max(1e-9, load.experts_hit);
  if (c.routing.balancer == Balancer::dynamic) {
    const BalancerWork work = balancing(c, moe);
    r.copies = work.copies;
    r.own = work.own;
  }
  r.groups += r.copies;
  r.rows_each = r.rows / r.groups;
  r.width = real(moe.width) / real(p.etp);
  return r;
}

// Some of the groups, with a share of the rows.
Routed part_of(Routed r, double share, double groups) {
  r.rows *= std::max(1e-9, share);
  r.groups = groups;
  r.rows_each = r.rows / groups;
  return r;
}

// Copies that dynamic replication fetches or whose gradients it sends home, beside the chain; -1: none.
int move_copies(StepBuilder& b, const DecoderContext& c, const MoeFfn& moe, DType type) {
  if (c.routing.balancer != Balancer::dynamic) return -1;
  const double sent = balancing(c, moe).sent;
  return sent > 0 ? b.beside("balancer", "copies of experts", expert_copies(c.model, moe, c.parallelism, sent, type)) : -1;
}

enum class Flow { to_experts, to_tokens };
constexpr std::string_view kMetadata = "routing metadata";

bool exchanges(const DecoderContext& c) { return c.parallelism.ep > 1; }

// Rows arrive where their expert reads them: a row for every expert of a token, and no sort.
bool sorted_on_the_way(const DecoderContext& c) {
  return exchanges(c) && c.train.moe_permute_fusion_into_hybridep && c.train.transport == Transport::hybridep;
}

TokenExchange exchange(const DecoderContext& c, const MoeFfn& moe, DType wire, double overload, Flow flow) {
  return {.tokens = c.shard_tokens(), .copy = bytes(wire, real(c.model.hidden)), .moe = moe,
          .group = expert_group(c.parallelism), .transport = c.train.transport, .overload = overload,
          .combine = flow == Flow::to_tokens, .sorted = sorted_on_the_way(c)};
}

TokenExchange weights(const DecoderContext& c, const MoeFfn& moe, const Routed& r, Flow flow) {
  TokenExchange each = exchange(c, moe, DType::fp32, r.overload, flow);
  each.copy = bytes(DType::fp32, 1);
  return each;
}

// Tokens that the sort by expert reads. DeepEP and Hybrid-EP sort behind the exchange, which brings a token once to every rank
// that it goes to; NCCL's rows are sorted before they leave.
double tokens_to_sort(const DecoderContext& c, const MoeFfn& moe, const Routed& r) {
  const bool behind = c.train.transport == Transport::deepep || c.train.transport == Transport::hybridep;
  return c.shard_tokens() * (exchanges(c) && behind ? expected_domains_hit(moe, real(c.parallelism.ep)) * r.overload : 1);
}

// Rows move from token order to expert order; transports without a permutation of their own need a second sort by
// local expert after the exchange.
Permute permutation(const DecoderContext& c, const MoeFfn& moe, const Routed& r, bool backward_of_gather, DType rows = DType::bf16) {
  const double hidden = real(c.model.hidden);
  const double tokens_side = tokens_to_sort(c, moe, r) * hidden, rows_side = r.rows / real(c.parallelism.etp) * hidden;
  const bool second_sort = c.train.transport == Transport::nccl && c.parallelism.ep > 1 && r.groups > 1;
  const double sorted = second_sort ? rows_side : 0;
  if (backward_of_gather) return {bytes(rows, rows_side + sorted), bytes(rows, tokens_side + sorted)};
  return {bytes(rows, tokens_side + sorted), bytes(rows, rows_side + sorted)};
}

// What must be known before rows move, and goes by itself. Hybrid-EP sends every rank whose token goes to which expert, a byte
// each, and reads it all; DeepEP and NCCL gather how many go to each. NCCL's weights of rows are an exchange of their own.
void add_metadata(StepBuilder& b, const DecoderContext& c, const MoeFfn& moe, const Routed& r) {
  const std::int64_t ranks = c.parallelism.ep;
  if (c.train.transport == Transport::hybridep) {
    TokenExchange map = exchange(c, {.experts = ranks, .top_k = ranks}, DType::bf16, 1, Flow::to_experts);
    map.copy = real(moe.experts) * byte;
    b.add(kMetadata, "routing map", map, Part::moe);
    const Bytes own = map.tokens * map.copy;
    b.add("router", "rows by rank", Elementwise{real(ranks) * own, own}, Part::moe);
  } else if (c.train.transport != Transport::allreduce) {
    const Bytes counts = bytes(DType::fp32, real(moe.experts * ranks));
    b.add(kMetadata, "rows by expert", Collective{CollectiveKind::all_gather, counts, expert_group(c.parallelism)}, Part::moe);
  }
  if (c.train.transport == Transport::nccl) b.add(kMetadata, "weights", weights(c, moe, r, Flow::to_experts), Part::moe);
}

void etp_collective(StepBuilder& b, const DecoderContext& c, const Routed& r, CollectiveKind kind) {
  if (c.parallelism.etp == 1) return;
  b.add("expert-tensor exchange", kind == CollectiveKind::all_gather ? "all-gather" : "reduce-scatter",
        Collective{kind, bf16(r.rows * real(c.model.hidden)), expert_tensor_group(c.parallelism)});
}

void shared_forward(StepBuilder& b, const DecoderContext& c, const MoeFfn& moe) {
  if (moe.shared_width > 0) dense_forward(b, c, real(moe.shared_width), kShared, Part::shared_expert);
}

// Rows sorted and quantised in one kernel where nothing lies between.
bool permutes_quantised(const DecoderContext& c) {
  return c.recipe.fused_permute && is_quantised(c.recipe.expert) && !exchanges(c) && !c.recipe.quantised_dispatch;
}

GroupedGemm product(const DecoderContext& c, double groups, double m, double n, double k) {
  return {.groups = groups, .m = m, .n = n, .k = k, .operands = multiplied(c.recipe, c.recipe.expert),
          .software_block = is_quantised(c.recipe.expert) ? c.recipe.software_block : 0, .kernels = c.recipe.kernels};
}

// MX blocks lie along the rows of an expert, so their number is padded to whole blocks.
GroupedGemm wgrad(const DecoderContext& c, const Routed& r, double m, double n) {
  const DType type = expert_wgrad(c.recipe);
  const double block = type == DType::mxfp8 || type == DType::mxfp4 ? 32 : type == DType::nvfp4 ? 16 : 1;
  GroupedGemm gemm = product(c, r.groups, m, n, r.rows_each);
  if (block > 1) gemm.k = std::ceil(r.rows_each / block - 1e-9) * block;
  gemm.operands = type;
  gemm.output = c.train.gradient;
  gemm.accumulate = gemm.wgrad = true;
  return gemm;
}

void adapt_forward(StepBuilder& b, const DecoderContext& c, const Routed& r, double out, double in) {
  if (adapted(c)) expert_adapter_forward(b, *c.train.lora, {r.experts, r.groups, r.rows_each}, out, in);
}
// The gradient of experts' W [out, in], or of their adapters.
void expert_gradient(StepBuilder& b, const DecoderContext& c, const Routed& r, std::string_view name, double out, double in) {
  if (!c.train.lora) return b.add("expert GEMM", name, wgrad(c, r, out, in));
  if (adapted(c)) expert_adapter_backward(b, *c.train.lora, {r.experts, r.groups, r.rows_each}, c.train.gradient, out, in);
}

void experts_forward(StepBuilder& b, const DecoderContext& c, const Routed& r) {
  const double hidden = real(c.model.hidden);
  const DType type = c.recipe.expert;
  if (!c.recipe.quantised_dispatch) {
    b.quantise_input({.name = permutes_quantised(c) ? "permute + quantise" : "quantise rows", .elements = r.rows * hidden,
                      .type = type, .experts = r.groups}, Part::moe);
  }
  b.weight(r.groups * 2 * r.width * hidden, type, Part::moe);
  adapt_forward(b, c, r, 2 * r.width, hidden);
  b.add("expert GEMM", "gate+up", product(c, r.groups, r.rows_each, 2 * r.width, hidden), Part::moe);
  activation_forward(b, c.recipe, "expert activation", r.rows * r.width, type, r.groups, Part::moe_activation);
  if (!c.recipe.fused_activation) {
    b.quantise_input({.name = "quantise activation", .elements = r.rows * r.width, .type = type, .experts = r.groups}, Part::moe);
  }
  b.weight(r.groups * r.width * hidden, type, Part::moe);
  adapt_forward(b, c, r, hidden, r.width);
  b.add("expert GEMM", "down", product(c, r.groups, r.rows_each, hidden, r.width), Part::moe);
}

// Rows that arrived quantised have no columns: their products' gradients need rows only, and wgrad is bf16.
bool has_columns(const DecoderContext& c) { return is_quantised(expert_wgrad(c.recipe)) || c.recipe.dequantised; }

void weight_gradient_input(StepBuilder& b, const DecoderContext& c, const Routed& r, double elements) {
  if (!has_columns(c)) return;
  b.quantise_input_again({.name = "quantise input again", .elements = elements, .type = c.recipe.expert, .experts = r.groups});
}
void down_weight_gradient(StepBuilder& b, const DecoderContext& c, const Routed& r) {
  weight_gradient_input(b, c, r, r.rows * r.width);
  expert_gradient(b, c, r, "down wgrad", real(c.model.hidden), r.width);
}
void gate_up_weight_gradient(StepBuilder& b, const DecoderContext& c, const Routed& r) {
  const double elements = r.rows * real(c.model.hidden);
  weight_gradient_input(b, c, r, elements);
  if (c.recipe.quantised_dispatch) b.add("dequantise", "rows to bf16", Elementwise{bytes(c.recipe.expert, elements), bf16(elements)});
  expert_gradient(b, c, r, "gate+up wgrad", 2 * r.width, real(c.model.hidden));
}

// `delayed`: without the weights' gradients, which run later.
void experts_backward(StepBuilder& b, const DecoderContext& c, const Routed& r, bool delayed) {
  const double hidden = real(c.model.hidden);
  const DType type = c.recipe.expert;
  const auto gradient = [&](std::string_view name, double elements) {
    const StepBuilder::Tensor tensor{.name = name, .elements = elements, .type = type, .experts = r.groups};
    if (has_columns(c)) return b.quantise_gradient(tensor);
    b.quantise(tensor, StepBuilder::Copies::rows);
  };
  gradient("quantise gradient", r.rows * hidden);
  b.weight(r.groups * r.width * hidden, type);
  b.add("expert GEMM", "down dgrad", product(c, r.groups, r.rows_each, r.width, hidden));
  if (!delayed) down_weight_gradient(b, c, r);
  activation_backward(b, c.recipe, "expert activation", r.rows * r.width, type, r.groups);
  if (!c.recipe.fused_activation || !is_quantised(type)) gradient("quantise gradient", 2 * r.rows * r.width);
  b.weight(r.groups * 2 * r.width * hidden, type);
  b.add("expert GEMM", "gate+up dgrad", product(c, r.groups, r.rows_each, hidden, 2 * r.width));
  if (c.recipe.kernels == Kernels::megablocks) {  // gate's and up's share of dX, from products of their own
    b.add("expert activation", "sum of gate and up", Elementwise{bf16(2 * r.rows * hidden), bf16(r.rows * hidden)});
  }
  if (!delayed) gate_up_weight_gradient(b, c, r);
}

FusedExperts one_kernel(const DecoderContext& c, const MoeFfn& moe, const Routed& r, bool backward) {
  return {.tokens = c.shard_tokens(), .experts = real(moe.experts), .top_k = real(moe.top_k), .hidden = real(c.model.hidden),
          .width = real(moe.width), .weight = c.recipe.expert, .dispatched = backward ? DType::bf16 : c.recipe.dispatch_wire,
          .combined = backward ? DType::bf16 : c.recipe.combine_wire, .group = expert_group(c.parallelism),
          .overload = r.overload, .backward = backward};
}
bool in_one_kernel(const DecoderContext& c) { return c.recipe.megakernel && exchanges(c) && c.parallelism.etp == 1; }

// Softmax or sigmoid scores in fp32, read a few times by top-k and its auxiliary losses.
Elementwise top_k_pass(double tokens, const MoeFfn& moe) {
  const double scores = tokens * real(moe.experts);
  return {bytes(DType::fp32, 2 * scores), bytes(DType::fp32, scores)};
}

// Routed and shared experts' outputs in one tensor; in backward what comes to their input from experts, router and shared expert,
// one added to the other.
void add_outputs(StepBuilder& b, const DecoderContext& c, const MoeFfn& moe) {
  if (moe.shared_width > 0) b.add("residuals", "shared expert", summed(2, c.shard_tokens() * real(c.model.hidden)), Part::moe);
}
void add_gradients(StepBuilder& b, const DecoderContext& c, const MoeFfn& moe) {
  const double sums = moe.shared_width > 0 ? 2 : 1, elements = c.shard_tokens() * real(c.model.hidden);
  b.add("residuals", "sum of gradients", Elementwise{bf16(2 * sums * elements), bf16(sums * elements)});
}

void router_backward(StepBuilder& b, const DecoderContext& c, const MoeFfn& moe) {
  const double hidden = real(c.model.hidden), shard = c.shard_tokens(), experts = real(moe.experts);
  b.add("router", "top-k", top_k_pass(shard, moe));
  b.add("router", "logits dgrad", Gemm{.m = shard, .n = hidden, .k = experts, .operands = c.recipe.router});
  add_gradients(b, c, moe);
  if (c.train.lora) return;
  b.add("router", "logits wgrad", Gemm{.m = experts, .n = hidden, .k = shard, .operands = c.recipe.router,
                                       .output = c.train.gradient, .accumulate = true});
}

void moe_forward(StepBuilder& b, const DecoderContext& c, const MoeFfn& moe) {
  const double hidden = real(c.model.hidden), shard = c.shard_tokens();
  const Routed r = routed(c, moe);
  const bool beside = c.train.overlap.contains(Overlap::shared_expert) && exchanges(c);
  b.add("router", "logits", Gemm{.m = shard, .n = real(moe.experts), .k = hidden, .operands = c.recipe.router}, Part::moe);
  b.add("router", "top-k", top_k_pass(shard, moe), Part::moe);
  if (const Bytes scanned = balancing(c, moe).scanned; scanned > Bytes{})
    b.add("balancer", "scores", Elementwise{scanned, Bytes{}});
  if (in_one_kernel(c)) {
    b.join(move_copies(b, c, moe, DType::bf16));
    shared_forward(b, c, moe);
    b.add("expert megakernel", "dispatch + experts + combine", one_kernel(c, moe, r, false), Part::moe);
    add_outputs(b, c, moe);
    return;
  }
  if (!beside) shared_forward(b, c, moe);
  if (c.recipe.quantised_dispatch) {  // one copy per token, not per row
    b.quantise({.name = "quantise tokens", .elements = shard * hidden, .type = c.recipe.expert}, StepBuilder::Copies::rows,
               Part::moe);
  }
  if (exchanges(c)) add_metadata(b, c, moe, r);
  if (!permutes_quantised(c) && !sorted_on_the_way(c)) {
    b.add("permute", "permute", permutation(c, moe, r, false, c.recipe.quantised_dispatch ? c.recipe.expert : DType::bf16), Part::moe);
  }
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
  const int copies = move_copies(b, c, moe, DType::bf16);
  etp_collective(b, c, r, CollectiveKind::all_gather);
  if (copies < 0) {
    experts_forward(b, c, r);
  } else {  // what is here first
    experts_forward(b, c, part_of(r, r.own, r.groups - r.copies));
    b.join(copies);
    experts_forward(b, c, part_of(r, 1 - r.own, r.copies));
  }
  etp_collective(b, c, r, CollectiveKind::reduce_scatter);
  if (exchanges(c)) b.add("combine", "combine", exchange(c, moe, c.recipe.combine_wire, r.overload, Flow::to_tokens), Part::moe);
  if (!sorted_on_the_way(c)) b.add("permute", "unpermute", permutation(c, moe, r, true), Part::moe);
  add_outputs(b, c, moe);
}

void moe_backward(StepBuilder& b, const DecoderContext& c, const MoeFfn& moe) {
  const Routed r = routed(c, moe);
  if (in_one_kernel(c)) {
    b.add("expert megakernel", "combine + experts + dispatch", one_kernel(c, moe, r, true));
    if (moe.shared_width > 0) dense_backward(b, c, real(moe.shared_width), kShared);
    router_backward(b, c, moe);
    return;
  }
  if (!sorted_on_the_way(c)) b.add("permute", "unpermute", permutation(c, moe, r, false));
  if (exchanges(c)) b.add("combine", "combine backward", exchange(c, moe, c.recipe.gradient_wire, r.overload, Flow::to_experts));
  etp_collective(b, c, r, CollectiveKind::all_gather);
  const bool delayed = c.train.overlap.contains(Overlap::delayed_wgrad) && exchanges(c);
  experts_backward(b, c, r, delayed);
  etp_collective(b, c, r, CollectiveKind::reduce_scatter);
  const bool beside = c.train.overlap.contains(Overlap::shared_expert) && exchanges(c) && moe.shared_width > 0;
  int dispatched = -1;
  if (exchanges(c)) {
    const TokenExchange back = exchange(c, moe, DType::bf16, r.overload, Flow::to_tokens);
    if (beside || delayed) {
      dispatched = b.beside("dispatch", "dispatch backward", back);
    } else {
      b.add("dispatch", "dispatch backward", back);
    }
  }
  if (delayed) {  // beside the rows on their way back
    down_weight_gradient(b, c, r);
    gate_up_weight_gradient(b, c, r);
  }
  if (!beside) b.join(dispatched);
  if (moe.shared_width > 0) dense_backward(b, c, real(moe.shared_width), kShared);
  if (beside) b.join(dispatched);
  if (exchanges(c) && c.train.transport == Transport::nccl) b.add(kMetadata, "weights", weights(c, moe, r, Flow::to_tokens));
  if (!sorted_on_the_way(c)) b.add("permute", "permute", permutation(c, moe, r, true));
  router_backward(b, c, moe);
}

// The wider of what comes and what goes; attention's backward follows, and nothing in it waits.
void return_copies(StepBuilder& b, const DecoderContext& c, const MoeFfn& moe) {
  const bool wider = !c.train.lora && bits(c.train.gradient) > bits(DType::bf16);
  move_copies(b, c, moe, wider ? c.train.gradient : DType::bf16);
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
    const DenseFfn& dense = std::get<DenseFfn>(ffn);
    dense_forward(b, c, real(dense.width), kDense, Part::dense_ffn, dense.gated);
  }
  b.add("residuals", "residual", residual(c, elements));
}

void ffn_backward(StepBuilder& b, const DecoderContext& c, const Ffn& ffn) {
  const double elements = c.shard_tokens() * real(c.model.hidden);
  const DenseFfn* plain = std::get_if<DenseFfn>(&ffn);
  residual_backward(b, c, plain != nullptr && !plain->gated);
  if (const MoeFfn* moe = std::get_if<MoeFfn>(&ffn)) {
    b.in_moe(true);
    moe_backward(b, c, *moe);
    return_copies(b, c, *moe);
    b.in_moe(false);
  } else {
    const DenseFfn& dense = std::get<DenseFfn>(ffn);
    dense_backward(b, c, real(dense.width), kDense, dense.gated);
  }
  b.add("norms", "FFN norm", norm_backward(elements));
  b.add("residuals", "residual", Elementwise{bf16(2 * elements), bf16(elements)});
}

}  // namespace moeline
