#include "memory/serving.hpp"

#include <algorithm>
#include <cmath>

namespace moeline {
namespace {

double real(std::int64_t value) { return static_cast<double>(value); }

// CUDA context, communicators, graphs and allocator slack of a serving process on one device: 2 to 4 GB in practice.
constexpr Bytes kRuntime = 3 * gigabyte;
// Rows of the hidden size that an eager iteration holds at once: input, residual, projections, expert inputs and outputs.
constexpr double kLiveRows = 8;

DType attention_format(const ServingContext& c, const LayerKind& kind) {
  return std::holds_alternative<LatentAttention>(kind.attention) ? c.formats.latent : c.formats.linear;
}

Bytes layer_weights(const ServingContext& c, const LayerKind& kind) {
  const LayerParameters p = layer_parameters(c.model, kind);
  const double tp = real(c.layout.tp);
  Bytes bytes_held = bytes(attention_format(c, kind), real(p.attention) / tp) + bytes(DType::bf16, real(p.norms + p.router));
  bytes_held += bytes(c.formats.linear, real(p.dense_ffn + p.shared) / tp);
  if (const MoeFfn* moe = std::get_if<MoeFfn>(&kind.ffn)) {
    const double slots = std::ceil(real(moe->experts + c.routing.redundant) / real(c.layout.ep));
    bytes_held += bytes(c.formats.expert_weight, slots * real(p.expert) / real(c.layout.etp));
  }
  return bytes_held;
}

// Of one token in one layer, and of a request whatever its length.
struct CacheShape {
  double elements = 0;
  double most = 0;  // tokens kept, 0: all
  Bytes state;
};

CacheShape cache_shape(const GroupedQueryAttention& a, double tp) {
  return {.elements = 2 * std::max(1.0, real(a.kv_heads) / tp) * real(a.head_dim), .most = a.window ? real(*a.window) : 0, .state = {}};
}
CacheShape cache_shape(const LatentAttention& a, double) { return {.elements = real(a.kv_rank + a.rope_dim), .most = 0, .state = {}}; }
CacheShape cache_shape(const GatedDeltaNet& a, double tp) {
  const double channels = real(2 * a.key_heads * a.key_dim + a.value_heads * a.value_dim) / tp;
  return {.elements = 0, .most = 0,
          .state = bytes(DType::fp32, real(a.value_heads * a.key_dim * a.value_dim) / tp) + bytes(DType::bf16, real(a.conv_width) * channels)};
}

}  // namespace

Bytes served_weights(const ServingContext& c) {
  Bytes total;
  for (const int kind : c.model.layers) total += layer_weights(c, c.model.kinds[static_cast<std::size_t>(kind)]);
  const double tables = (c.model.tied_embedding ? 1 : 2) * real(c.model.vocabulary) * real(c.model.hidden);
  return (total + bytes(DType::bf16, tables / real(c.layout.tp))) / real(c.layout.pp);
}

Bytes served_cache(const ServingContext& c, double tokens, double page) {
  Bytes total;
  for (const int kind : c.model.layers) {
    const Attention& attention = c.model.kinds[static_cast<std::size_t>(kind)].attention;
    const CacheShape shape = std::visit([&](const auto& a) { return cache_shape(a, real(c.layout.tp)); }, attention);
    const double kept = shape.most > 0 ? std::min(tokens, shape.most) : tokens;
    if (shape.elements > 0) total += bytes(c.formats.cache, (kept + page / 2) * shape.elements);
    total += shape.state;
  }
  return total / real(c.layout.pp);
}

Bytes served_workspace(const ServingContext& c, double tokens, double sampled) {
  return kRuntime + bytes(DType::bf16, kLiveRows * tokens * real(c.model.hidden)) +
         bytes(DType::fp32, sampled * real(c.model.vocabulary));
}

}  // namespace moeline
