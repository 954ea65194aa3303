#include "ops/decoder.hpp"

#include "ops/builder.hpp"

namespace moeline {
namespace {

constexpr std::size_t kUsual = 96;  // ops of a layer's backward and what is computed again for it

double real(std::int64_t value) { return static_cast<double>(value); }

bool recomputed(const TrainWorkload& train, const Op& op, bool is_moe_layer) {
  if (op.name == "copies of experts") return false;  // those that backward fetches serve
  if (train.full_recompute) return true;
  if (train.recompute.contains(Recompute::per_op)) return op.part != Part::core_attention && op.lane == Lane::compute;
  const auto on = [&](Recompute what) { return train.recompute.contains(what); };
  switch (op.part) {
    case Part::core_attention: return on(Recompute::core_attn);
    case Part::norm: return on(Recompute::layernorm);
    case Part::moe_activation: return on(Recompute::moe_act) || on(Recompute::moe);
    case Part::mla_up_projection: return on(Recompute::mla_up_proj);
    case Part::dense_ffn: return on(Recompute::mlp) && !is_moe_layer;
    case Part::shared_expert: return on(Recompute::shared_experts) || on(Recompute::moe);
    case Part::moe: return on(Recompute::moe);
    case Part::other: return op.in_moe && on(Recompute::moe);
  }
  return false;
}

// Op by op every second product runs again: of q, k, v, o, gate, up, down those are k, o and up.
double repeated_share(const DecoderContext& c, const Op& op, const LayerKind& layer) {
  const bool product = std::holds_alternative<Gemm>(op.work);
  if (!product || op.name == "output" || op.name == "key" || (op.name == "up" && c.extra(ExtraPass::projections))) return 1;
  if (op.name == "gate+up") return 0.5;
  if (op.name != "query-key-value") return 0;
  const GroupedQueryAttention& a = std::get<GroupedQueryAttention>(layer.attention);
  return real(a.kv_heads) / real(a.heads + 2 * a.kv_heads);
}

// The forward ops that run again, one after the other.
Step again(const DecoderContext& c, const LayerKind& layer, Step reused) {
  reused.clear();
  if (!c.train.full_recompute && c.train.recompute.empty()) return reused;
  const bool is_moe = std::holds_alternative<MoeFfn>(layer.ffn);
  Step step = layer_forward(c, layer, std::move(reused));
  std::size_t kept = 0;
  for (Op& op : step) {
    if (!recomputed(c.train, op, is_moe)) continue;
    op.phase = Phase::recompute;
    if (c.train.recompute.contains(Recompute::per_op)) {
      const double share = repeated_share(c, op, layer);
      if (share <= 0) continue;
      if (Gemm* product = std::get_if<Gemm>(&op.work)) product->n *= share;
    }
    op.after = {static_cast<int>(kept) - 1, -1, -1};
    if (&step[kept] != &op) step[kept] = op;
    ++kept;
  }
  step.erase(step.begin() + static_cast<std::ptrdiff_t>(kept), step.end());
  return step;
}

// Single ops of a framework read and write what one fused kernel keeps: bytes of eager PyTorch over those of the fused
// kernel, for an RMS norm in fp32 (24 over 4 an element), a rotary embedding of complex numbers (16 over 4), SwiGLU in two
// kernels (10 over 6).
double eager_bytes(const Op& op) {
  if (op.group == "norms") return 6;
  if (op.name == "rotary embedding") return 4;
  return op.group == "dense FFN activation" ? 10.0 / 6 : 1;
}

Step as_run(const DecoderContext& c, Step step) {
  if (c.train.fused_passes) return step;
  for (Op& op : step) {
    Elementwise* pass = std::get_if<Elementwise>(&op.work);
    if (pass != nullptr && op.phase != Phase::recompute) {  // those come from a forward pass that was here before
      pass->read *= eager_bytes(op);
      pass->written *= eager_bytes(op);
    }
  }
  return step;
}

// Transformer Engine quantises the input of a product before tensor-parallel ranks gather it; latents travel in bf16.
Step with_quantised_gathers(const DecoderContext& c, const LayerKind& layer, Step step) {
  if (!is_quantised(c.recipe.linear) || c.recipe.dequantised || std::holds_alternative<LatentAttention>(layer.attention)) return step;
  for (Op& op : step) {
    Collective* gather = std::get_if<Collective>(&op.work);
    if (gather == nullptr || op.phase == Phase::recompute || op.group != "tensor-parallel exchange") continue;
    if (gather->kind == CollectiveKind::all_gather) gather->bytes *= bits(c.recipe.linear) / 16;
  }
  return step;
}

// Bytes per logit, both directions. Fused: read twice as bf16, the gradient written over them. A framework's log-softmax: cast to
// fp32 and back (12), log-softmax and its backward, in 18. Over a vocabulary that is cut, in fp32 (Megatron-Core): cast (6), maximum
// (4), difference (8), exponential (8), sum (4), quotient (8), gradient scaled (8) and cast back (6).
double loss_bytes(const DecoderContext& c) {
  const Loss loss = loss_of(c.train);
  return loss == Loss::vocabulary ? 52 : loss == Loss::log_softmax ? 30 : 6;
}

Collective vocabulary_reduction(const DecoderContext& c, double elements) {
  return {CollectiveKind::all_reduce, bytes(DType::fp32, elements), tensor_group(c.parallelism)};
}

}  // namespace

double DecoderContext::tokens() const { return sequences * sequence / real(parallelism.cp); }
double DecoderContext::shard_tokens() const { return train.sequence_parallel ? tokens() / real(parallelism.tp) : tokens(); }

Step layer_forward(const DecoderContext& c, const LayerKind& layer, Step reused) {
  reused.clear();
  reused.reserve(kUsual);
  StepBuilder builder(Phase::forward, c.recipe, c.train.lora, std::move(reused));
  attention_forward(builder, c, layer.attention);
  ffn_forward(builder, c, layer.ffn);
  return as_run(c, with_quantised_gathers(c, layer, builder.take()));
}

Step layer_backward(const DecoderContext& c, const LayerKind& layer, Step reused) {
  StepBuilder builder(Phase::backward, c.recipe, c.train.lora, again(c, layer, std::move(reused)));
  ffn_backward(builder, c, layer.ffn);
  attention_backward(builder, c, layer.attention);
  return as_run(c, with_quantised_gathers(c, layer, builder.take()));
}

Step embedding_forward(const DecoderContext& c) {
  StepBuilder b(Phase::forward, c.recipe);
  const Bytes rows = bf16(c.tokens() * real(c.model.hidden));
  b.add("embedding", "look-up", Elementwise{rows, rows});
  scatter_tokens(b, c, real(c.model.hidden), false);
  return b.take();
}

Step embedding_backward(const DecoderContext& c) {
  StepBuilder b(Phase::backward, c.recipe);
  if (c.train.lora) return {};  // frozen, and nothing lies before it
  gather_tokens(b, c, real(c.model.hidden), false);
  const Bytes rows = bf16(c.tokens() * real(c.model.hidden));
  b.add("embedding", "scatter-add", Elementwise{2 * rows, rows});
  return b.take();
}

Step head_forward(const DecoderContext& c) {
  StepBuilder b(Phase::forward, c.recipe);
  const double hidden = real(c.model.hidden), vocabulary = real(c.model.vocabulary) / real(c.parallelism.tp);
  b.add("norms", "final norm", norm_forward(c.shard_tokens() * hidden));
  const int gathered = gather_tokens(b, c, hidden, c.train.overlap.contains(Overlap::tp));
  b.forward({"head", "logits", c.tokens(), vocabulary, hidden, c.recipe.head});
  b.join(gathered);
  const double logits = loss_bytes(c) / 2 * c.tokens() * vocabulary;
  b.add("loss", "cross entropy", Elementwise{bf16(2.0 / 3 * logits), bf16(logits / 3)});
  if (c.parallelism.tp > 1) b.add("loss", "reduction", vocabulary_reduction(c, 3 * c.tokens()));
  return as_run(c, b.take());
}

Step head_backward(const DecoderContext& c) {
  StepBuilder b(Phase::backward, c.recipe);
  const double hidden = real(c.model.hidden), vocabulary = real(c.model.vocabulary) / real(c.parallelism.tp);
  const int gathered = gather_tokens(b, c, hidden, true);
  b.backward({.group = "head", .name = "logits", .m = c.tokens(), .n = vocabulary, .k = hidden, .type = c.recipe.head,
              .frozen = c.train.lora.has_value()}, c.train.gradient);
  b.join(gathered);
  scatter_tokens(b, c, hidden, false);
  b.add("norms", "final norm", norm_backward(c.shard_tokens() * hidden));
  return as_run(c, b.take());
}

Step mtp_forward(const DecoderContext& c) {
  StepBuilder b(Phase::forward, c.recipe);
  const double hidden = real(c.model.hidden);
  b.add("norms", "MTP norms", norm_forward(2 * c.shard_tokens() * hidden));
  gather_tokens(b, c, 2 * hidden, false);
  b.forward({"MTP projection", "projection", c.tokens(), hidden / real(c.parallelism.tp), 2 * hidden, c.recipe.linear});
  scatter_tokens(b, c, hidden, false);
  return b.take();
}

Step mtp_backward(const DecoderContext& c) {
  StepBuilder b(Phase::backward, c.recipe);
  const double hidden = real(c.model.hidden);
  gather_tokens(b, c, hidden, false);
  b.backward({.group = "MTP projection", .name = "projection", .m = c.tokens(), .n = hidden / real(c.parallelism.tp),
              .k = 2 * hidden, .type = c.recipe.linear, .frozen = c.train.lora.has_value()}, c.train.gradient);
  b.add("norms", "MTP norms", norm_backward(2 * c.shard_tokens() * hidden));
  return b.take();
}

}  // namespace moeline
