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
  double read, written;  // elements per token of rotary embedding or convolution; a rotation runs backward the other way round
  double normed = 0;     // of q/k norms
  double copied = 0, joined = 0;  // taken out of the joint product, and put back into its gradient
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
  core.kernel = c.train.attention;
  return core;
}

Widths widths(const DecoderContext& c, const GroupedQueryAttention& a) {
  const double tp = real(c.parallelism.tp), head = real(a.head_dim);
  const double heads = real(a.heads) / tp, kv_heads = std::max(1.0, real(a.kv_heads) / tp);
  Widths w{};
  w.first = (heads * (a.output_gate ? 2 : 1) + 2 * kv_heads) * head;
  w.second = heads * head;
  w.read = w.written = a.rotary ? (heads + kv_heads) * head : 0;
  w.normed = a.norm_parameters > 0 ? (heads + kv_heads) * head : 0;
  // Kernels take rows of one head each. What rotates writes them; values, and queries of several groups, are copied.
  if (a.rotary && c.train.attention != AttentionKernel::unfused && !c.extra(ExtraPass::projections)) {
    w.copied = ((kv_heads > 1 && heads > kv_heads ? heads : 0) + kv_heads) * head;
    w.joined = (heads + 2 * kv_heads) * head;
  }
  w.core = core_shape(c);
  w.core.heads = heads;
  w.core.kv_heads = kv_heads;
  w.core.qk_dim = w.core.value_dim = head;
  w.core.window = a.window ? real(*a.window) : 0;
  w.core.chunked = a.chunked;
  w.kv_elements = 2 * kv_heads * head;
  return w;
}

Widths widths(const DecoderContext& c, const LatentAttention& a) {
  const double heads = real(a.heads) / real(c.parallelism.tp);
  Widths w{};
  w.second = heads * real(a.value_dim);
  // Queries rotate where they lie; keys and values leave their joint product, keys with the part that all heads share.
  w.read = heads * real(a.rope_dim + a.nope_dim + a.value_dim);
  w.written = heads * real(2 * a.rope_dim + a.nope_dim + a.value_dim);
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
  w.read = w.written = 2 * keys + 2 * values;
  w.is_scan = true;
  w.scan = {.tokens = c.tokens(), .heads = real(a.value_heads) / tp, .key_dim = real(a.key_dim),
            .value_dim = real(a.value_dim)};
  return w;
}

// A rotation needs its gradient alone, a convolution its input, too.
Elementwise pointwise_backward(const Widths& w, double tokens) {
  return w.is_scan ? Elementwise{bf16(2 * tokens * w.read), bf16(tokens * w.written)}
                   : Elementwise{bf16(tokens * w.written), bf16(tokens * w.read)};
}

Elementwise copied(double elements) { return {bf16(elements), bf16(elements)}; }

// A bias of the first projections that no product adds, or sums the gradient of, in passing.
bool bias_apart(const DecoderContext& c, const Attention& attention) {
  const GroupedQueryAttention* a = std::get_if<GroupedQueryAttention>(&attention);
  return a != nullptr && a->qkv_bias && c.extra(ExtraPass::biases);
}

// The projections between the hidden state and queries, keys, values.
std::vector<StepBuilder::Linear> input_projections(const DecoderContext& c, const Attention& attention, const Widths& w) {
  const double hidden = real(c.model.hidden), tp = real(c.parallelism.tp);
  const DType type = c.recipe.linear;
  if (const LatentAttention* a = std::get_if<LatentAttention>(&attention)) {
    const double heads = real(a->heads) / tp;
    std::vector<StepBuilder::Linear> list;
    // Down projections are replicated and work on the rank's own tokens; up projections see the gathered latent.
    const auto down = [&](std::string_view name, std::int64_t width) {
      list.push_back({kProjection, name, c.shard_tokens(), real(width), hidden, type});
    };
    if (a->q_rank > 0 && !c.train.mla_down_proj_fusion) {
      down("query down", a->q_rank);
      down("key-value down", a->kv_rank + a->rope_dim);
    } else {
      down("latent down", a->q_rank + a->kv_rank + a->rope_dim);
    }
    if (a->q_rank > 0) {
      list.push_back({kProjection, "query up", c.tokens(), heads * w.core.qk_dim, real(a->q_rank), type, Part::mla_up_projection});
    } else {
      list.push_back({kProjection, "query", c.tokens(), heads * w.core.qk_dim, hidden, type, Part::mla_up_projection});
    }
    list.push_back({kProjection, "key-value up", c.tokens(), heads * real(a->nope_dim + a->value_dim), real(a->kv_rank),
                    type, Part::mla_up_projection});
    return list;
  }
  const GroupedQueryAttention* a = std::get_if<GroupedQueryAttention>(&attention);
  if (a == nullptr || !c.extra(ExtraPass::projections)) return {{kProjection, "query-key-value", c.tokens(), w.first, hidden, type}};
  const double each = w.kv_elements / 2;
  return {{kProjection, "query", c.tokens(), w.first - 2 * each, hidden, type},
          {.group = kProjection, .name = "key", .m = c.tokens(), .n = each, .k = hidden, .type = type, .shares_input = true},
          {.group = kProjection, .name = "value", .m = c.tokens(), .n = each, .k = hidden, .type = type, .shares_input = true}};
}

// So many of the projections make latents.
std::size_t down_projections(const Attention& attention, std::size_t projections) {
  return std::holds_alternative<LatentAttention>(attention) ? projections - 2 : 0;
}

// Elements per token that tensor-parallel ranks gather before the column-parallel projections.
double gathered_width(const DecoderContext& c, const Attention& attention) {
  if (const LatentAttention* a = std::get_if<LatentAttention>(&attention)) {
    return real(a->kv_rank + a->rope_dim) + (a->q_rank > 0 ? real(a->q_rank) : real(c.model.hidden));
  }
  return real(c.model.hidden);
}

// Keys and values of the other context-parallel ranks, beside the attention that consumes them.
int exchange_context(StepBuilder& b, const DecoderContext& c, std::string_view what, double elements) {
  if (c.parallelism.cp == 1) return -1;
  return b.beside("context-parallel exchange", what,
                  Collective{CollectiveKind::all_gather, bf16(c.tokens() * real(c.parallelism.cp) * elements),
                             context_group(c.parallelism)});
}

// Ring attention runs a kernel for the keys of every rank, and merges what each gives into a sum in fp32: one read and two passes
// of four bytes; PyTorch does it op by op (cast, difference, product with a sigmoid, difference: 6, 12, 8 and 12 bytes). The rank
// with the last tokens merges whole tensors.
void merge_partial(StepBuilder& b, const DecoderContext& c, double elements, double bytes_each, Part part) {
  if (c.parallelism.cp == 1) return;
  const Bytes moved = (real(c.parallelism.cp) - 1) * elements * bytes_each * byte;
  b.add(kCore, "merge of the ring", Elementwise{0.6 * moved, 0.4 * moved}, part);
}
constexpr double kMerged = 10, kMergedByOps = 38;

// Scores, softmax, dropout and context as ops of their own: products of all heads at once, passes over every score, of
// which the causal kernel reads half. A mask is a byte.
void core_forward_unfused(StepBuilder& b, const DecoderContext& c, const AttentionCore& a) {
  const double rows = a.sequences * a.heads * a.queries, scores = rows * a.keys;
  b.add(kCore, "scores", Gemm{.m = rows, .n = a.keys, .k = a.qk_dim}, Part::core_attention);
  b.add(kCore, "softmax", Elementwise{bf16(scores / 2), bf16(scores)}, Part::core_attention);
  if (c.model.dropout) b.add(kCore, "dropout", Elementwise{bf16(scores), bf16(1.5 * scores)}, Part::core_attention);
  b.add(kCore, "context", Gemm{.m = rows, .n = a.value_dim, .k = a.keys}, Part::core_attention);
  b.add(kCore, "context by token", copied(rows * a.value_dim), Part::core_attention);
}

void core_backward_unfused(StepBuilder& b, const DecoderContext& c, const AttentionCore& a) {
  const double rows = a.sequences * a.heads * a.queries, scores = rows * a.keys;
  b.add(kCore, "context dgrad", Gemm{.m = rows, .n = a.keys, .k = a.value_dim});
  b.add(kCore, "context dgrad", Gemm{.m = rows, .n = a.value_dim, .k = a.keys});
  if (c.model.dropout) b.add(kCore, "dropout", Elementwise{bf16(1.5 * scores), bf16(scores)});
  b.add(kCore, "softmax", Elementwise{bf16(2 * scores), bf16(scores)});
  b.add(kCore, "scores dgrad", Gemm{.m = rows, .n = a.qk_dim, .k = a.keys});
  b.add(kCore, "scores dgrad", Gemm{.m = rows, .n = a.qk_dim, .k = a.keys});
  b.add(kCore, "gradients in one", copied(rows * a.qk_dim + a.sequences * a.kv_heads * a.keys * (a.qk_dim + a.value_dim)));
}

Part pointwise_part(const Attention& attention) {
  return std::holds_alternative<LatentAttention>(attention) ? Part::mla_up_projection : Part::other;
}

}  // namespace

void attention_forward(StepBuilder& b, const DecoderContext& c, const Attention& attention) {
  const Widths w = std::visit([&](const auto& a) { return widths(c, a); }, attention);
  const double hidden = real(c.model.hidden), tokens = c.tokens(), shard = c.shard_tokens();
  const bool overlap = c.train.overlap.contains(Overlap::tp);
  b.add("norms", "attention norm", norm_forward(shard * hidden), Part::norm);
  const bool latent = std::holds_alternative<LatentAttention>(attention);
  int gathered = latent ? -1 : gather_tokens(b, c, gathered_width(c, attention), overlap);
  const std::vector<StepBuilder::Linear> projections = input_projections(c, attention, w);
  std::size_t down = down_projections(attention, projections.size());
  double latents = 0;
  for (const StepBuilder::Linear& projection : projections) {
    b.forward(projection);
    if (down == 0) continue;
    latents += projection.n;
    if (--down > 0) continue;  // the latent is what travels, not the hidden state
    b.add("norms", "latent norm", norm_forward(shard * latents), Part::norm);
    gathered = gather_tokens(b, c, gathered_width(c, attention), overlap);
  }
  b.join(gathered);
  if (bias_apart(c, attention)) b.add(kPointwise, "bias", copied(tokens * w.first));
  if (w.copied > 0) b.add(kPointwise, "heads apart", copied(tokens * w.copied));
  if (w.normed > 0) b.add("norms", "query and key norms", norm_forward(tokens * w.normed));
  if (w.read > 0) {
    b.add(kPointwise, w.is_scan ? "convolution" : "rotary embedding", Elementwise{bf16(tokens * w.read), bf16(tokens * w.written)},
          pointwise_part(attention));
  }
  if (w.is_scan) {
    b.add(kCore, "delta rule scan", w.scan, Part::core_attention);
    b.add("norms", "gated norm", norm_forward(2 * tokens * w.second), Part::norm);
  } else {
    const int exchanged = exchange_context(b, c, "keys and values", w.kv_elements);
    if (c.train.attention != AttentionKernel::unfused) {
      b.add(kCore, "attention", w.core, Part::core_attention);
      merge_partial(b, c, tokens * w.second, c.train.attention == AttentionKernel::flash2 ? kMergedByOps : kMerged, Part::core_attention);
    } else {
      core_forward_unfused(b, c, w.core);
    }
    b.join(exchanged);
  }
  b.forward({kProjection, "output", tokens, hidden, w.second, c.recipe.linear});
  scatter_tokens(b, c, hidden, false);
  b.add("residuals", "residual", residual(c, shard * hidden));
}

namespace {
void core_backward(StepBuilder& b, const DecoderContext& c, const Widths& w) {
  if (w.is_scan) {
    StateScan scan = w.scan;
    scan.backward = true;
    b.add("norms", "gated norm", norm_backward(2 * c.tokens() * w.second));
    b.add(kCore, "delta rule scan", scan);
    return;
  }
  AttentionCore core = w.core;
  core.backward = true;
  const int exchanged = exchange_context(b, c, "keys, values and gradients", 2 * w.kv_elements);
  if (c.train.attention != AttentionKernel::unfused) {
    b.add(kCore, "attention", core);
    merge_partial(b, c, c.tokens() * (core.heads * core.qk_dim + w.kv_elements), kMerged, Part::other);
  } else {
    core_backward_unfused(b, c, core);
  }
  b.join(exchanged);
}
}  // namespace

void attention_backward(StepBuilder& b, const DecoderContext& c, const Attention& attention) {
  const Widths w = std::visit([&](const auto& a) { return widths(c, a); }, attention);
  const double hidden = real(c.model.hidden), tokens = c.tokens(), shard = c.shard_tokens();
  const GroupedQueryAttention* plain = std::get_if<GroupedQueryAttention>(&attention);
  residual_backward(b, c, plain != nullptr && plain->output_bias);
  const int gradient = gather_tokens(b, c, hidden, c.train.overlap.contains(Overlap::tp));
  b.backward({kProjection, "output", tokens, hidden, w.second, c.recipe.linear}, c.train.gradient);
  b.join(gradient);
  core_backward(b, c, w);
  if (w.read > 0) b.add(kPointwise, w.is_scan ? "convolution" : "rotary embedding", pointwise_backward(w, tokens));
  if (w.normed > 0) b.add("norms", "query and key norms", norm_backward(tokens * w.normed));
  if (w.joined > 0) b.add(kPointwise, "gradients in one", copied(tokens * w.joined));
  std::vector<StepBuilder::Linear> projections = input_projections(c, attention, w);
  std::reverse(projections.begin(), projections.end());
  const LatentAttention* latent = std::get_if<LatentAttention>(&attention);
  const std::size_t down = down_projections(attention, projections.size());
  if (bias_apart(c, attention)) b.add(kPointwise, "bias gradient", Elementwise{bf16(tokens * w.first), Bytes{}});
  double latents = 0;
  for (std::size_t i = projections.size() - down; i < projections.size(); ++i) latents += projections[i].n;
  for (std::size_t left = projections.size(); left > 0; --left) {
    const StepBuilder::Linear& projection = projections[projections.size() - left];
    if (latent != nullptr && left == down) {
      scatter_tokens(b, c, gathered_width(c, attention), false);
      b.add("norms", "latent norm", norm_backward(shard * latents));
    }
    const bool gathers = left > down && !projection.shares_input;  // again, for wgrad, behind dgrad
    const int input = gathers ? gather_tokens(b, c, projection.k, true) : -1;
    b.backward(projection, c.train.gradient);
    b.join(input);
  }
  const std::size_t readers = latent == nullptr ? projections.size() : down + (latent->q_rank > 0 ? 0 : 1);  // of the hidden state
  if (readers > 1) {
    b.add(kProjection, "sum of gradients", summed(static_cast<double>(readers), (latent == nullptr ? tokens : shard) * hidden));
  }
  if (latent == nullptr) scatter_tokens(b, c, gathered_width(c, attention), false);
  b.add("norms", "attention norm", norm_backward(shard * hidden));
  b.add("residuals", "residual", Elementwise{bf16(2 * shard * hidden), bf16(shard * hidden)});
}

}  // namespace moeline
