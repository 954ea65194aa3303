// Which fields do the families share, and within which bounds?
//
// Small readers that the per-family functions are put together from: heads, experts, groups, layer types, storage,
// keys without effect; and `Stack`, which turns per-layer choices into `ModelSpec::kinds` and `layers`.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <string_view>
#include <utility>
#include <vector>

#include "spec/llm.hpp"

namespace moeline {

// Far above any real model, and low enough that the parameters of one layer fit in 63 bits:
// 3 x 2^20 x 2^24 x 2^16 = 2^61.6.
inline constexpr IntegerRange kHidden{1, 1 << 20}, kWidth{1, 1 << 24}, kWidthOrNone{0, 1 << 24};
inline constexpr IntegerRange kVocabulary{1, 1 << 24}, kHeads{1, 1 << 16}, kHeadDim{1, 1 << 16}, kRank{1, 1 << 20};
inline constexpr IntegerRange kConvolution{1, 1 << 10}, kExperts{1, 1 << 16}, kSharedExperts{0, 1 << 10};
inline constexpr IntegerRange kLayers{1, 10000}, kModules{0, 64};

// Keys that shape no matrix and no routing; only those present, so that none is offered as "did you mean".
void skip_cosmetic(ObjectReader& config);
// A switch or a count that would change the arithmetic in a way not modelled for the family.
void expect(ObjectReader& config, std::string_view key, bool wanted);
void expect_zero(ObjectReader& config, std::string_view key);
void expect_silu(ObjectReader& config, std::string_view key);  // gate, up, down: three matrices
void expect_length(ObjectReader& config, std::string_view key, std::size_t length, std::size_t layers);

void read_storage(ObjectReader& config, ModelSpec& model);  // torch_dtype, quantization_config
// What every family but DBRX spells the same way. `tied` is the default of the family's class in transformers.
void read_common(ObjectReader& config, ModelSpec& model, bool tied = false);
std::size_t layer_count(ObjectReader& config);

// Heads, key-value heads and their width; `usual_dim` 0 means hidden / heads where the config names none.
GroupedQueryAttention read_heads(ObjectReader& config, std::int64_t hidden, std::int64_t usual_dim = 0);
void read_attention_bias(ObjectReader& config, GroupedQueryAttention& attention);  // one switch, all projections
void read_window(ObjectReader& config, GroupedQueryAttention& attention);          // of every layer, if there is one
std::vector<Attention> with_window(const GroupedQueryAttention& full, std::int64_t keys);  // {full, windowed}

struct ExpertKeys {
  std::string_view experts, top_k, width;
};
MoeFfn read_experts(ObjectReader& config, const ExpertKeys& keys);
// DeepSeek's groups: the top-k experts come from the best `topk_group` of `n_group` groups.
void read_groups(ObjectReader& config, MoeFfn& moe);

// Which of its family's shapes each layer has.
using Choice = std::vector<std::size_t>;
using Rule = std::function<std::size_t(std::size_t layer)>;
Choice choose(std::size_t layers, const Rule& rule);
inline std::size_t first_shape(std::size_t) { return 0; }

// `layer_types` if the config has it, else the family's own rule; shapes count in the order of `names`.
Choice read_layer_types(ObjectReader& config, std::size_t layers, const std::vector<std::string>& names,
                        const Rule& rule);

// In families with dense and sparse layers, shape 0 is dense and 1 is MoE.
inline constexpr std::size_t kDense = 0, kSparse = 1;
// The dense width may be missing or unused where every layer is sparse.
DenseFfn read_dense(ObjectReader& config, std::string_view key, const Choice& ffns);

// Gathers layers into kinds: layers with the same attention and the same feed-forward share one.
class Stack {
 public:
  Stack(ModelSpec& model, std::vector<Attention> attentions, std::vector<Ffn> ffns);
  void add(const Choice& attentions, const Choice& ffns);
  void add_mtp(std::int64_t modules, std::size_t attention, std::size_t ffn);

 private:
  int kind(std::size_t attention, std::size_t ffn);

  ModelSpec& model_;
  std::vector<Attention> attentions_;
  std::vector<Ffn> ffns_;
  std::map<std::pair<std::size_t, std::size_t>, int> kinds_;
};
void stack_alike(ModelSpec& model, std::size_t layers, const Attention& attention, const Ffn& ffn);

}  // namespace moeline
