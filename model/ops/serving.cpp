#include "ops/serving.hpp"

#include <algorithm>
#include <cmath>

#include "ops/builder.hpp"
#include "routing/load.hpp"

namespace moeline {
namespace {

constexpr std::string_view kProjection = "attention projections", kCore = "attention core", kExperts = "experts",
                           kShared = "shared expert", kReduce = "tensor-parallel exchange", kNorm = "norms";

double real(std::int64_t value) { return static_cast<double>(value); }

// Appends what a layer does, in the formats and on the cut of one context.
class LayerBuilder {
 public:
  LayerBuilder(const ServingContext& c, const Iteration& it)
      : c_(c), it_(it), tp_(real(c.layout.tp)), hidden_(real(c.model.hidden)),
        steps_(it.prefills() ? Phase::prefill : Phase::decode, c.recipe) {}

  void attention(const GroupedQueryAttention& a);
  void attention(const LatentAttention& a);
  void attention(const GatedDeltaNet& a);
  void ffn(const DenseFfn& f);
  void ffn(const MoeFfn& f);
  void ends();

  void norm(std::string_view name) { steps_.add(kNorm, name, Elementwise{bf16(2 * it_.tokens() * hidden_), bf16(2 * it_.tokens() * hidden_)}); }
  // Sums the outputs of `ranks` neighbouring ranks, over the tokens of an attention group.
  void reduce(std::int64_t ranks) {
    if (ranks > 1) steps_.add(kReduce, "all-reduce", ServedReduce{bf16(it_.tokens() * hidden_), {ranks, 1}, c_.stack});
  }
  Step take() { return steps_.take(); }

 private:
  void linear(std::string_view group, std::string_view name, double m, double n, double k, DType type) {
    steps_.add(group, name, Gemm{.m = m, .n = n, .k = k, .operands = type});
  }
  void quantise(double elements, DType type) {  // what no kernel before it writes in the format the product reads
    if (has_block_scales(type)) steps_.add("quantise", "quantise", Elementwise{bf16(elements), bytes(type, elements)});
  }
  void swiglu(std::string_view group, double width, DType type) {
    steps_.add(group, "activation", Elementwise{bf16(2 * it_.tokens() * width), bytes(type, it_.tokens() * width)});
  }
  void mlp(std::string_view group, double width) {
    quantise(it_.tokens() * hidden_, c_.formats.linear);
    linear(group, "gate+up", it_.tokens(), 2 * width, hidden_, c_.formats.linear);
    swiglu(group, width, c_.formats.linear);
    linear(group, "down", it_.tokens(), hidden_, width, c_.formats.linear);
  }
  void decode_core(DecodeShape shape, double window, bool chunked);
  void prompt_core(double heads, double kv_heads, double qk_dim, double value_dim, double window, bool chunked);
  void exchange(const MoeFfn& f, ExpertTransport transport, double overload, bool combine);

  const ServingContext& c_;
  const Iteration& it_;
  double tp_, hidden_;
  StepBuilder steps_;
};

// Cached tokens that a query sees: all, or those of its window; of a chunk, half on average.
double visible(double context, double window, bool chunked) {
  if (window <= 0 || context <= window) return context;
  return chunked ? window / 2 : window;
}

void LayerBuilder::decode_core(DecodeShape shape, double window, bool chunked) {
  if (it_.decoding <= 0) return;
  shape.sequences = it_.decoding;
  shape.keys = std::max(1.0, visible(it_.context + it_.tokens_each, window, chunked));
  shape.cache = c_.formats.cache;
  shape.products = c_.formats.attention;
  steps_.add(kCore, "attention over the cache", DecodeAttention{shape, it_.tokens_each});
}

void LayerBuilder::prompt_core(double heads, double kv_heads, double qk_dim, double value_dim, double window, bool chunked) {
  if (!it_.prefills()) return;
  AttentionCore core{.sequences = it_.prompts, .heads = heads, .kv_heads = kv_heads, .queries = it_.prompt,
                     .keys = it_.prompt, .qk_dim = qk_dim, .value_dim = value_dim};
  if (it_.before > 0) {  // a chunk sees what lies before it, and half of itself
    core.causal = false;
    core.keys = std::max(1.0, visible(it_.before + it_.prompt / 2, window, chunked));
  } else {
    core.window = window;
    core.chunked = chunked;
  }
  steps_.add(kCore, "attention over prompts", core);
}

void LayerBuilder::attention(const GroupedQueryAttention& a) {
  const double heads = real(a.heads) / tp_, kv_heads = std::max(1.0, real(a.kv_heads) / tp_), dim = real(a.head_dim);
  const double tokens = it_.tokens(), window = a.window ? real(*a.window) : 0;
  const DType type = c_.formats.linear;
  norm("attention norm");
  quantise(tokens * hidden_, type);
  linear(kProjection, "query-key-value", tokens, (heads * (a.output_gate ? 2 : 1) + 2 * kv_heads) * dim, hidden_, type);
  if (a.norm_parameters > 0) steps_.add(kNorm, "query-key norm", norm_forward(tokens * (heads + kv_heads) * dim));
  if (it_.prefills()) {
    const double rows = it_.prompts * it_.prompt * dim;
    steps_.add(kCore, "rotary and cache write",
               Elementwise{bf16(rows * (heads + 2 * kv_heads)), bf16(rows * heads) + bytes(c_.formats.cache, rows * 2 * kv_heads)});
  }
  prompt_core(heads, kv_heads, dim, dim, window, a.chunked);
  decode_core({.heads = heads, .kv_heads = kv_heads, .qk_dim = dim, .value_dim = dim}, window, a.chunked);
  quantise(tokens * heads * dim, type);
  linear(kProjection, "output", tokens, hidden_, heads * dim, type);
  reduce(c_.layout.tp);
}

void LayerBuilder::attention(const LatentAttention& a) {
  const double heads = real(a.heads) / tp_, rank = real(a.kv_rank), rope = real(a.rope_dim), nope = real(a.nope_dim);
  const double value = real(a.value_dim), tokens = it_.tokens(), q_rank = real(a.q_rank);
  const DType type = c_.formats.latent;
  norm("attention norm");
  quantise(tokens * hidden_, type);
  linear(kProjection, "latent down", tokens, q_rank + rank + rope, hidden_, type);
  steps_.add(kNorm, "latent norms", norm_forward(tokens * (q_rank + rank)));
  linear(kProjection, "query up", tokens, heads * (nope + rope), a.q_rank > 0 ? q_rank : hidden_, type);
  if (it_.prefills()) {
    const double before = it_.prompts * it_.before, rows = it_.prompts * it_.prompt;
    linear(kProjection, "key-value up", before + rows, heads * (nope + value), rank, type);
    steps_.add(kCore, "rotary and cache write",
               Elementwise{bf16(rows * heads * (2 * (nope + rope) + value)), bytes(c_.formats.cache, rows * (rank + rope))});
    prompt_core(heads, heads, nope + rope, value, 0, false);
  }
  if (it_.decoding > 0) {
    const double rows = it_.decoding * it_.tokens_each;
    linear(kProjection, "absorb keys", rows, heads * rank, nope, DType::bf16);
    decode_core({.heads = heads, .kv_heads = 1, .qk_dim = rank + rope, .value_dim = rank, .latent = true}, 0, false);
    linear(kProjection, "absorb values", rows, heads * value, rank, DType::bf16);
  }
  quantise(tokens * heads * value, c_.formats.linear);
  linear(kProjection, "output", tokens, hidden_, heads * value, c_.formats.linear);
  reduce(c_.layout.tp);
}

void LayerBuilder::attention(const GatedDeltaNet& a) {
  const double heads = real(a.value_heads) / tp_, keys = real(a.key_heads * a.key_dim) / tp_, values = heads * real(a.value_dim);
  const double tokens = it_.tokens();
  norm("attention norm");
  quantise(tokens * hidden_, c_.formats.linear);
  linear(kProjection, "query-key-value-gate", tokens, 2 * keys + 2 * values + 2 * heads, hidden_, c_.formats.linear);
  steps_.add(kCore, "convolution", norm_forward(tokens * (2 * keys + values)));
  if (it_.prefills()) {
    steps_.add(kCore, "delta rule scan", StateScan{.tokens = it_.prompts * it_.prompt, .heads = heads,
                                                   .key_dim = real(a.key_dim), .value_dim = real(a.value_dim)});
  }
  if (it_.decoding > 0) {
    const Bytes state = bytes(DType::fp32, it_.decoding * heads * real(a.key_dim * a.value_dim));
    steps_.add(kCore, "state update", Elementwise{state, state});
  }
  steps_.add(kNorm, "gated norm", norm_forward(2 * tokens * values));
  quantise(tokens * values, c_.formats.linear);
  linear(kProjection, "output", tokens, hidden_, values, c_.formats.linear);
  reduce(c_.layout.tp);
}

void LayerBuilder::ffn(const DenseFfn& f) {
  norm("ffn norm");
  mlp("dense FFN", real(f.width) / tp_);
  reduce(c_.layout.tp);
}

// Where every rank sees all tokens nothing is dispatched; else rows travel to their experts and back.
void LayerBuilder::exchange(const MoeFfn& f, ExpertTransport transport, double overload, bool combine) {
  const std::int64_t width = c_.layout.width();
  const double tokens = it_.tokens() / tp_;  // of one rank: those of its attention group, shared out
  const Group group{width, 1};
  switch (transport) {
    case ExpertTransport::allreduce: return;
    case ExpertTransport::allgather: {
      const Bytes all = bytes(combine ? DType::bf16 : c_.formats.expert, it_.tokens_of_mean() * real(c_.layout.dp) * hidden_);
      steps_.add("expert exchange", combine ? "reduce-scatter" : "all-gather",
                 Collective{combine ? CollectiveKind::reduce_scatter : CollectiveKind::all_gather, all, group});
      return;
    }
    case ExpertTransport::deepep:
      if (!it_.prefills()) {
        steps_.add("expert exchange", combine ? "combine" : "dispatch",
                   LowLatencyExchange{tokens, hidden_, f, group, overload, combine});
        return;
      }
      [[fallthrough]];
    case ExpertTransport::nvlink: {
      const DType wire = combine ? DType::bf16 : is_quantised(c_.formats.expert) ? DType::fp8_block : DType::bf16;
      steps_.add("expert exchange", combine ? "combine" : "dispatch",
                 TokenExchange{.tokens = tokens, .copy = bytes(wire, hidden_), .moe = f, .group = group,
                               .transport = transport == ExpertTransport::deepep ? Transport::deepep : Transport::hybridep,
                               .overload = overload, .combine = combine});
    }
  }
}

void LayerBuilder::ffn(const MoeFfn& f) {
  const ServeLayout& l = c_.layout;
  const ExpertTransport transport = it_.prefills() ? c_.prefill_transport : c_.decode_transport;
  const bool sent = transport == ExpertTransport::deepep || transport == ExpertTransport::nvlink;
  norm("ffn norm");
  linear("router", "router", it_.tokens(), real(f.experts), hidden_, DType::bf16);
  const double worker = it_.tokens_of_mean() * real(l.dp);
  ServedExperts experts{.op = {.hidden = hidden_, .inter = real(f.width) / real(l.etp), .gated = true,
                               .activations = c_.formats.expert, .weight_bits = bits(c_.formats.expert_weight)},
                        .load = served_load(f, c_.routing, l, worker, it_.distinct), .weights = c_.formats.expert_weight,
                        .stack = c_.stack, .exchanged = sent, .decode = !it_.prefills()};
  if (sent) experts.load.tokens = experts.load.tokens_here;
  const double mean_rows = worker * real(f.top_k) / real(l.ep), overload = experts.load.rows / mean_rows;
  exchange(f, transport, overload, false);
  steps_.add(kExperts, "experts", experts);
  // A shared expert is cut as attention is, except where rows travel: there every rank has it for its own tokens.
  if (f.shared_width > 0) mlp(kShared, real(f.shared_width) / tp_);
  exchange(f, transport, overload, true);
  if (transport == ExpertTransport::allreduce) reduce(l.width());
}

void LayerBuilder::ends() {
  const double tokens = it_.tokens(), sampled = it_.sampled(), words = real(c_.model.vocabulary);
  steps_.add("embedding", "embedding", Elementwise{bf16(tokens * hidden_), bf16(tokens * hidden_)});
  reduce(c_.layout.tp);
  if (sampled <= 0) return;
  steps_.add(kNorm, "final norm", norm_forward(sampled * hidden_));
  linear("head", "logits", sampled, words / tp_, hidden_, c_.formats.head);
  if (c_.layout.tp > 1) {
    steps_.add("head", "gather logits", Collective{CollectiveKind::all_gather, bf16(sampled * words), {c_.layout.tp, 1}});
  }
  steps_.add("sampling", "sampling", Elementwise{bytes(DType::fp32, 2 * sampled * words), bytes(DType::fp32, sampled * words)});
}

// Expected ceil(X / height) of a Poisson number of rows: sum over j of P(X > j height).
double expected_tiles(double mean, double height) {
  if (mean > 12 * height) return mean / height + 0.5;
  double term = std::exp(-mean), below = 0, tiles = 0;  // term: P(X = i), below: P(X < i)
  const double last = mean + 8 * std::sqrt(mean) + 8;
  for (double i = 0; i <= last; ++i) {
    below += term;
    if (std::fmod(i, height) == 0) tiles += 1 - below;
    term *= mean / (i + 1);
  }
  return tiles;
}

}  // namespace

MoeLoad served_load(const MoeFfn& moe, const Routing& routing, const ServeLayout& layout, double tokens, double distinct) {
  const double ranks = real(layout.ep);
  const ExpertLoad load = expert_load(moe, routing, tokens, ranks);
  const double slots = std::ceil((real(moe.experts) + real(routing.redundant)) / ranks);
  MoeLoad m{.tokens = tokens, .experts = slots};
  m.tokens_here = tokens * std::min(1.0, expected_domains_hit(moe, ranks) / ranks * load.overload);
  m.rows = m.element_rows = std::min(tokens * std::min(real(moe.top_k), slots), tokens * real(moe.top_k) / ranks * load.overload);
  const double hit = distinct < 1 ? expert_load(moe, routing, distinct * tokens, ranks).experts_hit : load.experts_hit;
  m.hit = std::min({slots, hit * load.overload, std::max(1.0, m.rows)});
  const double reached = slots * (hit / load.experts_hit);  // those that rows fall on by chance
  const bool even = routing.popularity == Popularity::balanced;
  for (std::size_t i = 0; i < m.tiles.size(); ++i) {
    const double height = MoeLoad::kHeights[i];
    m.tiles[i] = even ? m.hit * std::ceil(m.rows / m.hit / height - 1e-9) : std::max(m.hit, reached * expected_tiles(m.rows / reached, height));
  }
  return m;
}

Step served_layer(const ServingContext& context, const LayerKind& layer, const Iteration& iteration) {
  LayerBuilder builder(context, iteration);
  std::visit([&](const auto& a) { builder.attention(a); }, layer.attention);
  std::visit([&](const auto& f) { builder.ffn(f); }, layer.ffn);
  return builder.take();
}

Step served_ends(const ServingContext& context, const Iteration& iteration) {
  LayerBuilder builder(context, iteration);
  builder.ends();
  return builder.take();
}

}  // namespace moeline
