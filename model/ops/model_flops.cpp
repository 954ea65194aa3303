#include <algorithm>

#include "ops/decoder.hpp"

namespace moeline {
namespace {

double real(std::int64_t value) { return static_cast<double>(value); }

// Multiply-adds per token of one layer's attention, projections and causal core, forward.
double attention_macs(double hidden, double sequence, const GroupedQueryAttention& a) {
  const double heads = real(a.heads), head = real(a.head_dim);
  const double projections = hidden * head * (heads * (a.output_gate ? 3 : 2) + 2 * real(a.kv_heads));
  // As attended_pairs prices it: a query sees `window` keys, the first ones fewer.
  const double window = a.window ? std::min(real(*a.window), sequence) : sequence;
  const double keys = a.chunked ? window / 2 : window * (1 - window / (2 * sequence));
  return projections + heads * keys * 2 * head;
}
double attention_macs(double hidden, double sequence, const LatentAttention& a) {
  const double heads = real(a.heads), qk = real(a.nope_dim + a.rope_dim);
  const double query = a.q_rank > 0 ? hidden * real(a.q_rank) + real(a.q_rank) * heads * qk : hidden * heads * qk;
  const double key_value = hidden * real(a.kv_rank + a.rope_dim) + real(a.kv_rank) * heads * real(a.nope_dim + a.value_dim);
  return query + key_value + heads * real(a.value_dim) * hidden + heads * sequence / 2 * (qk + real(a.value_dim));
}
double attention_macs(double hidden, double, const GatedDeltaNet& a) {
  const double keys = real(a.key_heads * a.key_dim), values = real(a.value_heads * a.value_dim);
  const double projections = hidden * (2 * keys + 2 * values + 2 * real(a.value_heads)) + values * hidden;
  return projections + 4 * real(a.value_heads * a.key_dim) * real(a.value_dim);
}

double layer_macs(const ModelSpec& model, double sequence, const LayerKind& kind) {
  const double hidden = real(model.hidden);
  const double attention = std::visit([&](const auto& a) { return attention_macs(hidden, sequence, a); }, kind.attention);
  if (const MoeFfn* moe = std::get_if<MoeFfn>(&kind.ffn)) {
    return attention + 3 * hidden * (real(moe->top_k * moe->width) + real(moe->shared_width));
  }
  const DenseFfn& dense = std::get<DenseFfn>(kind.ffn);
  return attention + (dense.gated ? 3 : 2) * hidden * real(dense.width);
}

}  // namespace

Flops model_flops_per_token(const ModelSpec& model, double sequence, std::int64_t mtp_layers) {
  const double hidden = real(model.hidden), logits = hidden * real(model.vocabulary);
  double macs = logits;
  for (const int kind : model.layers) macs += layer_macs(model, sequence, model.kinds[static_cast<std::size_t>(kind)]);
  for (std::int64_t i = 0; i < mtp_layers; ++i) {
    const auto kind = static_cast<std::size_t>(model.mtp_layers[static_cast<std::size_t>(i)]);
    macs += layer_macs(model, sequence, model.kinds[kind]) + 2 * hidden * hidden + logits;
  }
  return 3 * 2 * macs * flop;  // forward, and twice that backward
}

}  // namespace moeline
