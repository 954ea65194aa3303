#include "spec/llm.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "spec/json.hpp"
#include "spec/llm_families.hpp"

namespace moeline {
namespace {

// A weight matrix, or several of one shape. FP8 checkpoints quantise exactly these: every projection of attention
// and feed-forward. Router, norms, biases, embeddings, head and the projection of an MTP module stay unquantised.
struct Matrix {
  std::int64_t rows = 0, columns = 0, copies = 1;
};

std::int64_t elements(const std::vector<Matrix>& matrices) {
  std::int64_t sum = 0;
  for (const Matrix& matrix : matrices) sum += matrix.rows * matrix.columns * matrix.copies;
  return sum;
}

std::int64_t scale_count(const std::vector<Matrix>& matrices, std::int64_t block_rows, std::int64_t block_columns) {
  std::int64_t sum = 0;
  for (const Matrix& matrix : matrices) {
    const std::int64_t down = (matrix.rows + block_rows - 1) / block_rows;
    const std::int64_t across = (matrix.columns + block_columns - 1) / block_columns;
    sum += down * across * matrix.copies;
  }
  return sum;
}

// What an attention consists of: matrices, and everything that is not one (norms, biases, sinks, convolution).
struct Pieces {
  std::vector<Matrix> matrices;
  std::int64_t vectors = 0;
};

Pieces pieces(const GroupedQueryAttention& attention, std::int64_t hidden) {
  const std::int64_t q = attention.heads * attention.head_dim;
  const std::int64_t kv = attention.kv_heads * attention.head_dim;
  const std::int64_t q_projected = attention.output_gate ? 2 * q : q;
  std::int64_t vectors = attention.norm_parameters;
  if (attention.qkv_bias) vectors += q_projected + 2 * kv;
  if (attention.output_bias) vectors += hidden;
  if (attention.sinks) vectors += attention.heads;
  return {{{q_projected, hidden}, {kv, hidden, 2}, {hidden, q}}, vectors};
}

Pieces pieces(const LatentAttention& attention, std::int64_t hidden) {
  const std::int64_t q = attention.heads * (attention.nope_dim + attention.rope_dim);
  const std::int64_t kv = attention.heads * (attention.nope_dim + attention.value_dim);
  Pieces all;
  if (attention.q_rank > 0) {
    all.matrices = {{attention.q_rank, hidden}, {q, attention.q_rank}};
    all.vectors = attention.q_rank;  // the norm of the compressed query
  } else {
    all.matrices = {{q, hidden}};
  }
  all.matrices.push_back({attention.kv_rank + attention.rope_dim, hidden});
  all.matrices.push_back({kv, attention.kv_rank});
  all.matrices.push_back({hidden, attention.heads * attention.value_dim});
  all.vectors += attention.kv_rank;  // the norm of the latent
  return all;
}

Pieces pieces(const GatedDeltaNet& attention, std::int64_t hidden) {
  const std::int64_t key = attention.key_heads * attention.key_dim;
  const std::int64_t value = attention.value_heads * attention.value_dim;
  // q, k, v and the output gate in one projection, the two per-head gates in another.
  const std::vector<Matrix> matrices{
      {2 * key + 2 * value, hidden}, {2 * attention.value_heads, hidden}, {hidden, value}};
  const std::int64_t convolution = (2 * key + value) * attention.conv_width;
  const std::int64_t decay_and_step = 2 * attention.value_heads;
  return {matrices, convolution + decay_and_step + attention.value_dim};
}

Pieces attention_pieces(const Attention& attention, std::int64_t hidden) {
  return std::visit([hidden](const auto& kind) { return pieces(kind, hidden); }, attention);
}

std::vector<Matrix> swiglu(std::int64_t hidden, std::int64_t width, std::int64_t copies = 1) {
  return {{width, hidden, 2 * copies}, {hidden, width, copies}};
}

std::vector<Matrix> ffn_matrices(const Ffn& ffn, std::int64_t hidden) {
  if (const auto* dense = std::get_if<DenseFfn>(&ffn)) {
    if (!dense->gated) return {{dense->width, hidden}, {hidden, dense->width}};
    return swiglu(hidden, dense->width);
  }
  const MoeFfn& moe = std::get<MoeFfn>(ffn);
  std::vector<Matrix> matrices = swiglu(hidden, moe.width, moe.experts);
  const std::vector<Matrix> shared = swiglu(hidden, moe.shared_width);
  matrices.insert(matrices.end(), shared.begin(), shared.end());
  return matrices;
}

// FP8 block scales of one layer.
std::int64_t layer_scales(const ModelSpec& model, const LayerKind& kind) {
  if (model.scale_block_rows == 0 || model.scale_block_columns == 0) return 0;
  std::vector<Matrix> matrices = attention_pieces(kind.attention, model.hidden).matrices;
  const std::vector<Matrix> ffn = ffn_matrices(kind.ffn, model.hidden);
  matrices.insert(matrices.end(), ffn.begin(), ffn.end());
  return scale_count(matrices, model.scale_block_rows, model.scale_block_columns);
}

void count_moe(const MoeFfn& moe, std::int64_t hidden, LayerParameters& layer) {
  layer.expert = elements(swiglu(hidden, moe.width));
  if (moe.expert_bias) layer.expert += 2 * moe.width + hidden;
  layer.experts = moe.experts * layer.expert;
  layer.shared = elements(swiglu(hidden, moe.shared_width));
  if (moe.shared_gate) layer.shared += hidden;
  layer.router = hidden * moe.experts;
  if (moe.router_bias) layer.router += moe.experts;
}

std::int64_t active(const LayerParameters& layer, const LayerKind& kind) {
  const auto* moe = std::get_if<MoeFfn>(&kind.ffn);
  return moe == nullptr ? layer.total() : layer.total() - layer.experts + moe->top_k * layer.expert;
}

// Each dimension is bounded where it is read, so that one layer cannot overflow; here their sum is.
void refuse_impossible_size(const ModelSpec& model, const std::string& origin) {
  constexpr double kLargest = 1e18;
  std::vector<double> of_kind;
  for (const LayerKind& kind : model.kinds) {
    of_kind.push_back(static_cast<double>(layer_parameters(model, kind).total()));
  }
  double total = 2.0 * static_cast<double>(model.vocabulary) * static_cast<double>(model.hidden);
  for (const int kind : model.layers) total += of_kind[static_cast<std::size_t>(kind)];
  for (const int kind : model.mtp_layers) total += of_kind[static_cast<std::size_t>(kind)];
  if (total > kLargest) {
    throw SpecError(origin, fmt::format("these dimensions give {:.1e} parameters, expected at most {:.0e}; check "
                                        "the layer count, the expert count and the widths",
                                        total, kLargest));
  }
}

}  // namespace

std::vector<std::string> model_families() {
  std::vector<std::string> names;
  for (const Family& family : families()) names.emplace_back(family.model_type);
  return names;
}

ModelSpec read_model(const Json& config, const std::string& origin, const std::string& name) {
  ObjectReader reader(config, origin);
  ModelSpec model;
  model.name = name;
  model.family = reader.string("model_type");
  const auto family = std::find_if(families().begin(), families().end(),
                                   [&model](const Family& candidate) { return candidate.model_type == model.family; });
  if (family == families().end()) {
    reader.fail("model_type", fmt::format("unknown family \"{}\"{}", model.family.substr(0, 60),
                                          did_you_mean(model.family, model_families())));
  }
  family->read(reader, model);
  reader.finish();
  refuse_impossible_size(model, origin);
  return model;
}

const MoeFfn* any_moe(const ModelSpec& model) {
  for (const LayerKind& kind : model.kinds) {
    if (const MoeFfn* moe = std::get_if<MoeFfn>(&kind.ffn)) return moe;
  }
  return nullptr;
}

std::int64_t experts_of(const ModelSpec& model) {
  const MoeFfn* moe = any_moe(model);
  return moe != nullptr ? moe->experts : 0;
}

LayerParameters layer_parameters(const ModelSpec& model, const LayerKind& kind) {
  const Pieces attention = attention_pieces(kind.attention, model.hidden);
  LayerParameters layer;
  layer.attention = elements(attention.matrices) + attention.vectors;
  layer.norms = kind.norm_parameters;
  if (const auto* moe = std::get_if<MoeFfn>(&kind.ffn)) {
    count_moe(*moe, model.hidden, layer);
  } else {
    const DenseFfn& dense = std::get<DenseFfn>(kind.ffn);
    layer.dense_ffn = elements(ffn_matrices(kind.ffn, model.hidden)) + (dense.gated ? 0 : dense.width + model.hidden);
  }
  return layer;
}

ModelParameters parameters(const ModelSpec& model) {
  std::vector<LayerParameters> layers;
  std::vector<std::int64_t> scales;
  for (const LayerKind& kind : model.kinds) {
    layers.push_back(layer_parameters(model, kind));
    scales.push_back(layer_scales(model, kind));
  }
  ModelParameters count;
  const std::int64_t final_norm = (model.positions > 0 ? 2 : 1) * model.hidden;  // LayerNorm has biases
  count.embedding = model.vocabulary * model.hidden;
  count.head = model.tied_embedding ? 0 : count.embedding;
  count.main = count.active = count.embedding + count.head + final_norm + model.positions * model.hidden;
  for (const int index : model.layers) {
    const auto kind = static_cast<std::size_t>(index);
    count.main += layers[kind].total();
    count.active += active(layers[kind], model.kinds[kind]);
    count.scales += scales[kind];
  }
  for (const int index : model.mtp_layers) {
    const auto kind = static_cast<std::size_t>(index);
    // A projection of [embedding, hidden state] back to hidden, a norm for each of the two, and one before the head.
    count.mtp_unique += 2 * model.hidden * model.hidden + 3 * model.hidden + layers[kind].total();
    count.mtp += model.mtp_shares_embedding ? 0 : count.embedding + count.head;
    count.scales += scales[kind];
  }
  count.mtp += count.mtp_unique;
  count.checkpoint = count.main + count.mtp + count.scales;
  // A tied table is still read in full by the head, so leaving out the input side alone leaves out nothing.
  count.active_without_embedding = count.active - (model.tied_embedding ? 0 : count.embedding);
  count.active_without_embedding_and_head = count.active - count.embedding - count.head;
  return count;
}

}  // namespace moeline
