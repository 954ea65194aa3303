#include "wafer/memory.hpp"

#include <algorithm>
#include <cmath>

namespace moeline {
namespace {

double real(std::int64_t value) { return static_cast<double>(value); }
Bytes bf16(double elements) { return bytes(DType::bf16, elements); }

// A dense FFN is computed in slices of its width, an expert on no more than this share of the tokens at once. Chosen so
// that the micro-batches of the vendor's Model Zoo fit this list on a CS-3 (tests/anchors/wafer_published_test.cpp);
// how it is really sliced is not published.
constexpr double kSlices = 16;
// fp32 scores, their fp32 gradient, bf16 probabilities.
constexpr double kBytesPerScore = 4 + 4 + 2;

struct HeadShape {
  double groups;       // heads that are computed together when blockwise
  double width;        // elements of queries, keys, values and output per token
  double score_heads;  // 0: none
  double window;       // keys a query sees at most; 0: all
};

HeadShape head_shape(const GroupedQueryAttention& a) {
  const double heads = real(a.heads) * (a.output_gate ? 3 : 2) + 2 * real(a.kv_heads);
  return {real(a.kv_heads), heads * real(a.head_dim), real(a.heads), a.window ? real(*a.window) : 0};
}
HeadShape head_shape(const LatentAttention& a) {
  return {real(a.heads), real(a.heads * (2 * (a.nope_dim + a.rope_dim) + 2 * a.value_dim)), real(a.heads), 0};
}
HeadShape head_shape(const GatedDeltaNet& a) {
  return {real(a.key_heads), real(2 * a.key_heads * a.key_dim + 2 * a.value_heads * a.value_dim), 0, 0};
}

Bytes attention_tile(const Attention& attention, double sequence, Scores scores) {
  const HeadShape shape = std::visit([](const auto& a) { return head_shape(a); }, attention);
  const double keys = shape.window > 0 ? std::min(shape.window, sequence) : sequence;
  if (scores == Scores::blockwise) return 2 * bf16(sequence * shape.width / shape.groups);
  return 2 * bf16(sequence * shape.width) + shape.score_heads * sequence * keys * kBytesPerScore * byte;
}

// Rows of one expert, or of one slice of a dense FFN, in and out with what lies between.
Bytes expert_buffers(const Ffn& ffn, double hidden, double tokens) {
  if (const MoeFfn* moe = std::get_if<MoeFfn>(&ffn)) {
    const double share = std::min(real(moe->top_k) / real(moe->experts), 1 / kSlices);
    const double routed = tokens * share * (2 * hidden + 3 * real(moe->width));
    return 2 * bf16(std::max(routed, tokens * 3 * real(moe->shared_width) / kSlices));
  }
  const DenseFfn& dense = std::get<DenseFfn>(ffn);
  return 2 * bf16(tokens * (dense.gated ? 3 : 2) * real(dense.width) / kSlices);
}

double largest_matrix(const ModelSpec& model, const LayerKind& kind) {
  const LayerParameters p = layer_parameters(model, kind);
  return std::max({real(p.attention) / 2, real(p.dense_ffn) / 3, real(p.expert), real(p.shared) / 3});
}

Bytes kept_inputs(const SramContext& c, const TilePlan& plan) {
  const double layers = real(static_cast<std::int64_t>(c.model.layers.size()));
  const Bytes one = bf16(plan.sequences * c.sequence * real(c.model.hidden));
  switch (plan.keep) {
    case KeepInputs::offload:
      return 2 * one;
    case KeepInputs::recompute: {
      const double stretch = recompute_stretch(layers);
      return (std::ceil(layers / stretch) + stretch) * one;
    }
    default:
      return layers * one;
  }
}

}  // namespace

double TilePlan::tiles() const { return std::ceil(sequences / real(tile)); }

double recompute_stretch(double layers) { return std::ceil(std::sqrt(layers)); }

Bytes offloaded(const SramContext& c, const TilePlan& plan) {
  if (plan.keep != KeepInputs::offload) return {};
  const double tokens = plan.sequences * c.sequence;
  const double internals =
      plan.keep_internals ? tokens * c.internal_bytes / real(static_cast<std::int64_t>(c.model.layers.size())) : 0;
  return bf16(tokens * real(c.model.hidden)) + internals * byte;
}

Footprint sram(const SramContext& c, const TilePlan& plan) {
  const double tokens = plan.sequences * c.sequence, hidden = real(c.model.hidden);
  Bytes weights = bytes(c.weight, hidden * real(c.model.vocabulary)), gradients, experts, tile;
  double scores = 0;
  for (const LayerKind& kind : c.model.kinds) {
    weights = max(weights, bytes(c.weight, real(layer_parameters(c.model, kind).total())));
    gradients = max(gradients, bytes(c.gradient, largest_matrix(c.model, kind)));
    experts = max(experts, expert_buffers(kind.ffn, hidden, tokens));
    tile = max(tile, attention_tile(kind.attention, c.sequence, plan.scores));
    if (const MoeFfn* moe = std::get_if<MoeFfn>(&kind.ffn)) scores = std::max(scores, real(moe->experts));
  }
  const double layers = real(static_cast<std::int64_t>(c.model.layers.size()));
  const double internals_in_flight = plan.keep == KeepInputs::offload ? 2 / layers : 1;
  Footprint footprint;
  footprint.parts = {
      {"layer_weights", weights},
      {"layer_gradients", gradients},
      {"kept_inputs", kept_inputs(c, plan)},
      {"kept_internals", plan.keep_internals ? internals_in_flight * tokens * c.internal_bytes * byte : Bytes{}},
      {"gradient_sum", plan.accumulate_on_wafer ? bytes(DType::fp32, real(parameters(c.model).main)) : Bytes{}},
      {"working_tensors", bf16(tokens * 4 * hidden) + bytes(DType::fp32, tokens * scores)},
      {"expert_buffers", experts},
      {"attention_tile", std::min(real(plan.tile), std::ceil(plan.sequences)) * tile},
  };
  return footprint;
}

}  // namespace moeline
