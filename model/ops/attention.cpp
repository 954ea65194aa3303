// Attention of one layer as ops: grouped-query, latent (MLA, expanded form) and gated delta net.
#include <algorithm>

#include "ops/builder.hpp"

namespace moeline {
namespace {

constexpr std::string_view kProjection = "attention projections", kCore = "attention core", kPointwise = "attention pointwise";

double real(std::int64_t value) { return static_cast<double>(value); }

// Widths of one tensor-parallel rank.
struct Widths {
  double first;       // columns of the input projection that follows the all-gather
  double second;      // rows of the output projection
  double pointwise;   // elements per token that rotary embedding, q/k norms or convolution read and write
  AttentionCore core{};
  StateScan scan{};
  bool is_scan = false;
  double kv_elements = 0;  // per token, exchanged under context parallelism
};

AttentionCore core_shape(const DecoderContext& c) {
  AttentionCore core;
  core.sequences = c.sequences;
  core.queries = c.sequence / real(c.parallelism.cp);
  core.keys = c.sequence;
  return core;
}

Widths widths(const DecoderContext& c, const GroupedQueryAttention& a) {
  const double tp = real(c.parallelism.tp), head = real(a.head_dim);
  const double heads = real(a.heads) / tp, kv_heads = std::max(1.0, real(a.kv_heads) / tp);
  Widths w{};
  w.first = (heads * (a.output_gate ? 2 : 1) + 2 * kv_heads) * head;
  w.second = heads * head;
  w.pointwise = (heads + kv_heads) * head;
  w.core = core_shape(c);
  w.core.heads = heads;
  w.core.kv_heads = kv_heads;
  w.core.qk_dim = w.core.value_dim = head;
  w.core.window = a.window ? real(*a.window) : 0;
  w.kv_elements = 2 * kv_heads * head;
  return w;
}

Widths widths(const DecoderContext& c, const LatentAttention& a) {
  const double heads = real(a.heads) / real(c.parallelism.tp);
  Widths w{};
  w.second = heads * real(a.value_dim);
  w.pointwise = 2 * heads * real(a.nope_dim + a.rope_dim);
  w.core = core_shape(c);
  w.core.heads = w.core.kv_heads = heads;
  w.core.qk_dim = real(a.nope_dim + a.rope_dim);
  w.core.value_dim = real(a.value_dim);
  w.kv_elements = heads * real(a.nope_dim + a.rope_dim + a.value_dim);
  return w;
}

Widths widths(const DecoderContext& c, const GatedDeltaNet& a) {
  const double tp = real(c.parallelism.tp);
  const double keys = real(a.key_heads * a.key_dim) / tp, values = real(a.value_heads * a.value_dim) / tp;
  Widths w{};
  w.first = 2 * keys + 2 * values + 2 * real(a.value_heads) / tp;
  w.second = values;
  w.pointwise = 2 * keys + 2 * values;
  w.is_scan = true;
  w.scan = {.tokens = c.tokens(), .heads = real(a.value_heads) / tp, .key_dim = real(a.key_dim),
            .value_dim = real(a.value_dim)};
  return w;
}

Elementwise pointwise(double elements, bool backward) {
  return backward ? Elementwise{bf16(2 * elements), bf16(elements)} : Elementwise{bf16(elements), bf16(elements)};
}

// The projections between the hidden state and queries, keys, values.
std::vector<StepBuilder::Linear> input_projections(const DecoderContext& c, const Attention& attention, const Widths& w) {
  const double hidden = real(c.model.hidden), tp = real(c.parallelism.tp);
  const DType type = c.recipe.linear;
  if (const LatentAttention* a = std::get_if<LatentAttention>(&attention)) {
    const double heads = real(a->heads) / tp;
    std::vector<StepBuilder::Linear> list;
    // Down projections are replicated and work on the rank's own tokens; up projections see the gathered latent.
    list.push_back({kProjection, "latent down", c.shard_tokens(), real(a->q_rank + a->kv_rank + a->rope_dim), hidden, type});
    if (a->q_rank > 0) {
      list.push_back({kProjection, "query up", c.tokens(), heads * w.core.qk_dim, real(a->q_rank), type, Part::mla_up_projection});
    } else {
      list.push_back({kProjection, "query", c.tokens(), heads * w.core.qk_dim, hidden, type});
    }
    list.push_back({kProjection, "key-value up", c.tokens(), heads * real(a->nope_dim + a->value_dim), real(a->kv_rank),
                    type, Part::mla_up_projection});
    return list;
  }
  return {{kProjection, "query-key-value", c.tokens(), w.first, hidden, type}};
}

// Elements per token that tensor-parallel ranks gather before the column-parallel projections.
double gathered_width(const DecoderContext& c, const Attention& attention) {
  if (const LatentAttention* a = std::get_if<LatentAttention>(&attention)) {
    return real(a->kv_rank + a->rope_dim) + (a->q_rank > 0 ? real(a->q_rank) : real(c.model.hidden));
  }
  return real(c.model.hidden);
}

Part pointwise_part(const Attention& attention) {
  return std::holds_alternative<LatentAttention>(attention) ? Part::mla_up_projection : Part::other;
}

}  // namespace

void attention_forward(StepBuilder& b, const DecoderContext& c, const Attention& attention) {
  const Widths w = std::visit([&](const auto& a) { return widths(c, a); }, attention);
  const double hidden = real(c.model.hidden), tokens = c.tokens(), shard = c.shard_tokens();
  const bool overlap = c.train.overlap.contains(Overlap::tp);
  const bool latent = std::holds_alternative<LatentAttention>(attention);
  b.add("norms", "attention norm", norm_forward(shard * hidden), Part::norm);
  if (!latent) gather_tokens(b, c, gathered_width(c, attention), overlap);
  bool gathered = !latent;
  for (const StepBuilder::Linear& projection : input_projections(c, attention, w)) {
    b.forward(projection);
    if (!gathered) {
      b.add("norms", "latent norm", norm_forward(shard * projection.n), Part::norm);
      gather_tokens(b, c, gathered_width(c, attention), overlap);
      gathered = true;
    }
  }
  b.join();
  b.add(kPointwise, w.is_scan ? "convolution" : "rotary embedding", pointwise(tokens * w.pointwise, false),
        pointwise_part(attention));
  if (c.parallelism.cp > 1 && !w.is_scan) {
    b.beside("context-parallel exchange", "keys and values",
             Collective{CollectiveKind::all_gather, bf16(tokens * real(c.parallelism.cp) * w.kv_elements),
                        context_group(c.parallelism)});
  }
  if (w.is_scan) {
    b.add(kCore, "delta rule scan", w.scan, Part::core_attention);
    b.add("norms", "gated norm", norm_forward(2 * tokens * w.second), Part::norm);
  } else {
    b.add(kCore, "attention", w.core, Part::core_attention);
  }
  b.join();
  b.forward({kProjection, "output", tokens, hidden, w.second, c.recipe.linear});
  scatter_tokens(b, c, hidden, false);
  b.add("residuals", "residual", Elementwise{bf16(2 * shard * hidden), bf16(shard * hidden)});
}

void attention_backward(StepBuilder& b, const DecoderContext& c, const Attention& attention) {
  const Widths w = std::visit([&](const auto& a) { return widths(c, a); }, attention);
  const double hidden = real(c.model.hidden), tokens = c.tokens(), shard = c.shard_tokens();
  const bool overlap = c.train.overlap.contains(Overlap::tp);
  gather_tokens(b, c, hidden, overlap);
  b.backward({kProjection, "output", tokens, hidden, w.second, c.recipe.linear}, c.train.gradient);
  b.join();
  if (c.parallelism.cp > 1 && !w.is_scan) {  // keys and values again, and their gradients back
    b.beside("context-parallel exchange", "keys, values and gradients",
             Collective{CollectiveKind::all_gather, 2 * bf16(tokens * real(c.parallelism.cp) * w.kv_elements),
                        context_group(c.parallelism)});
  }
  if (w.is_scan) {
    StateScan scan = w.scan;
    scan.backward = true;
    b.add("norms", "gated norm", norm_backward(2 * tokens * w.second));
    b.add(kCore, "delta rule scan", scan);
  } else {
    AttentionCore core = w.core;
    core.backward = true;
    b.add(kCore, "attention", core);
  }
  b.join();
  b.add(kPointwise, w.is_scan ? "convolution" : "rotary embedding", pointwise(tokens * w.pointwise, true));
  std::vector<StepBuilder::Linear> projections = input_projections(c, attention, w);
  std::reverse(projections.begin(), projections.end());
  const bool latent = projections.size() > 1;
  for (const StepBuilder::Linear& projection : projections) {
    const bool down = latent && &projection == &projections.back();
    if (down) {
      scatter_tokens(b, c, gathered_width(c, attention), overlap);
      b.add("norms", "latent norm", norm_backward(shard * projection.n));
    } else {
      gather_tokens(b, c, projection.k, true);  // the input again, for wgrad, behind dgrad
    }
    b.backward(projection, c.train.gradient);
    b.join();
  }
  if (!latent) scatter_tokens(b, c, gathered_width(c, attention), overlap);
  b.join();
  b.add("norms", "attention norm", norm_backward(shard * hidden));
  b.add("residuals", "residual", Elementwise{bf16(2 * shard * hidden), bf16(shard * hidden)});
}

}  // namespace moeline
