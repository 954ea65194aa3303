// What is the model? Its layers as shapes, and every parameter counted.
//
// Read from a Hugging Face config.json as published. Layers of one shape share one `LayerKind`; `layers[i]` says which
// kind layer i is. Counts are exact: they match the stored totals of the checkpoints (tests/anchors/parameters).
// Counting formulas: attention, router, experts, norms, embeddings per family; docs/theory/parameters.md.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "spec/dtype.hpp"
#include "spec/reader.hpp"

namespace moeline {

// Multi-head, grouped-query and multi-query attention.
struct GroupedQueryAttention {
  std::int64_t heads = 0, kv_heads = 0, head_dim = 0;
  bool output_gate = false;             // Qwen3-Next: q projection is doubled, half of it gates the output
  bool qkv_bias = false, output_bias = false, sinks = false;
  bool rotary = true;                   // false: positions are learned (GPT-2)
  std::int64_t norm_parameters = 0;     // weights of q/k norms
  std::optional<std::int64_t> window{};  // keys a query sees at most, if limited
  bool chunked = false;                  // the window is a chunk that all its queries share (Llama 4), not a sliding one
};

// Multi-head latent attention (DeepSeek): keys and values rebuilt from a compressed latent.
struct LatentAttention {
  std::int64_t heads = 0;
  std::int64_t q_rank = 0;              // 0: queries are projected directly
  std::int64_t kv_rank = 0;
  std::int64_t nope_dim = 0, rope_dim = 0, value_dim = 0;
};

// Gated delta net (Qwen3-Next linear-attention layers): a fixed-size state instead of keys and values.
struct GatedDeltaNet {
  std::int64_t key_heads = 0, value_heads = 0, key_dim = 0, value_dim = 0, conv_width = 0;
};

using Attention = std::variant<GroupedQueryAttention, LatentAttention, GatedDeltaNet>;

struct DenseFfn {
  std::int64_t width = 0;  // SwiGLU: gate, up, down
  bool gated = true;       // false: up, activation, down, with biases (GPT-2)
};

struct MoeFfn {
  std::int64_t experts = 0, top_k = 0;
  std::int64_t width = 0;               // of one expert
  std::int64_t shared_width = 0;        // of all shared experts together; 0 if none
  bool shared_gate = false;             // Qwen2-MoE, Qwen3-Next: a hidden x 1 gate on the shared expert
  bool router_bias = false;             // gpt-oss bias, or the score-correction bias of DeepSeek-V3 and its like
  bool expert_bias = false;             // gpt-oss: biases on gate, up and down
  std::int64_t groups = 1, top_groups = 1;  // group-limited routing (DeepSeek 8 of which 4)
};

using Ffn = std::variant<DenseFfn, MoeFfn>;

struct LayerKind {
  Attention attention;
  Ffn ffn;
  std::int64_t norm_parameters = 0;     // of the layer's own norms (2h usually)
};

struct ModelSpec {
  std::string name;                     // as the user asked for it
  std::string family;                   // model_type of the config
  std::int64_t hidden = 0, vocabulary = 0;
  bool tied_embedding = false;
  bool dropout = false;                 // of attention, residuals and embedding, in training
  std::int64_t positions = 0;           // rows of a learned table of positions; 0: rotary
  std::vector<LayerKind> kinds;         // distinct layer shapes
  std::vector<int> layers;              // index into kinds, in order
  std::vector<int> mtp_layers;          // multi-token-prediction modules: the kind of each one's decoder layer
  bool mtp_shares_embedding = true;     // false: the checkpoint stores copies of embedding and head
  DType stored = DType::bf16;           // how the checkpoint stores matrices
  std::int64_t scale_block_rows = 0, scale_block_columns = 0;  // FP8 checkpoints with block scales

  const LayerKind& layer(std::size_t i) const { return kinds[static_cast<std::size_t>(layers[i])]; }
};

// `origin` names the file in messages; `name` is what answers call the model.
ModelSpec read_model(const Json& config, const std::string& origin, const std::string& name);
std::vector<std::string> model_families();  // model_type values that can be read

const MoeFfn* any_moe(const ModelSpec& model);      // the first kind of layer with experts; nullptr: dense
std::int64_t experts_of(const ModelSpec& model);    // of such a layer; 0: dense

// All in parameters, not bytes.
struct LayerParameters {
  std::int64_t attention = 0;           // projections, biases, q/k norms, sinks
  std::int64_t norms = 0;
  std::int64_t dense_ffn = 0;
  std::int64_t expert = 0;              // one routed expert
  std::int64_t experts = 0;             // all routed experts
  std::int64_t shared = 0;              // shared experts and their gate
  std::int64_t router = 0;              // with its bias
  std::int64_t total() const { return attention + norms + dense_ffn + experts + shared + router; }
};
LayerParameters layer_parameters(const ModelSpec& model, const LayerKind& kind);

struct ModelParameters {
  std::int64_t main = 0;                // everything but MTP
  std::int64_t active = 0;              // per token: experts -> top-k; embedding and head included
  std::int64_t active_without_embedding = 0;
  std::int64_t active_without_embedding_and_head = 0;
  std::int64_t mtp = 0;                 // as stored: with copies of embedding and head where the checkpoint has them
  std::int64_t mtp_unique = 0;          // without those copies
  std::int64_t scales = 0;              // FP8 block scales of the checkpoint
  std::int64_t checkpoint = 0;          // main + mtp + scales: what the safetensors index adds up to
  std::int64_t embedding = 0, head = 0;  // head is 0 when tied
};
ModelParameters parameters(const ModelSpec& model);

}  // namespace moeline
