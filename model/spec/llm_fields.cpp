#include "spec/llm_fields.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "spec/json.hpp"

namespace moeline {
namespace {

// Keys that shape no matrix and no routing: training, numerics, tokens, positions and bookkeeping.
// clang-format off
constexpr auto kCosmetic = std::to_array<std::string_view>({
    "_attn_implementation", "_name_or_path", "architectures", "attention_dropout", "attention_multiplier",
    "attn_pdrop", "attn_scale", "attn_temperature_tuning", "auto_map", "aux_loss_alpha", "bos_token_id",
    "chunk_size_feed_forward", "cla_share_factor", "clip_qkv", "emb_pdrop", "embedding_multiplier", "eod_token_id",
    "eos_token_id", "ep_size", "floor_scale", "for_llm_compressor", "hidden_dropout", "initial_context_length",
    "initializer_range", "is_encoder_decoder", "logits_scaling", "max_position_embeddings", "max_seq_len",
    "mlp_dropout", "model_type", "moe_aux_loss_coeff", "moe_capacity", "moe_drop_tokens", "moe_gate",
    "moe_gate_act", "moe_jitter_eps", "moe_loss_weight", "moe_norm_min", "moe_normalize_expert_weights",
    "moe_random_routing_dropped_token", "norm_topk_prob", "org_vocab_size", "output_attentions",
    "output_hidden_states", "output_router_logits", "pad_id", "pad_token_id", "partial_rotary_factor",
    "pretraining_tp", "resid_pdrop", "residual_multiplier", "return_dict", "rms_norm_eps", "rope_interleave",
    "rope_parameters", "rope_scaling", "rope_theta", "rotary_dim", "routed_scaling_factor", "router_aux_loss_coef",
    "router_jitter_noise", "scoring_func", "sep_token_id", "seq_aux", "swiglu_limit", "task_specific_params",
    "tokenizer_class", "transformers_version", "uniform_expert_assignment", "use_cache"});
// clang-format on

void read_dtype(ObjectReader& config, std::string_view key, ModelSpec& model) {
  config.skip(key);
  if (!config.has(key)) return;
  const std::string text = config.string(key);
  const std::optional<DType> dtype = dtype_named(text);
  if (!dtype) {
    config.fail(key,
                fmt::format("unknown number format \"{}\", expected for example \"bfloat16\"", text.substr(0, 60)));
  }
  model.stored = *dtype;
}

}  // namespace

void skip_cosmetic(ObjectReader& config) {
  for (const std::string_view key : kCosmetic) {
    if (config.json().contains(key)) config.skip(key);
  }
}

void expect(ObjectReader& config, std::string_view key, bool wanted) {
  if (config.boolean_or(key, wanted) == wanted) return;
  config.fail(key, fmt::format("{} is not modelled for this family, expected {}", !wanted, wanted));
}

void expect_zero(ObjectReader& config, std::string_view key) {
  if (config.integer_or(key, kNonNegative, 0) == 0) return;
  config.fail(key, "this part is not modelled for this family, expected 0");
}

void expect_silu(ObjectReader& config, std::string_view key) {
  if (config.has(key)) config.one_of(key, {"silu", "swish", "swiglu"});
  config.skip(key);
}

void read_storage(ObjectReader& config, ModelSpec& model) {
  read_dtype(config, "torch_dtype", model);
  read_dtype(config, "dtype", model);
  config.skip("quantization_config");
  if (!config.has("quantization_config")) return;
  ObjectReader quantization = config.object("quantization_config");
  const std::string method = quantization.one_of("quant_method", {"fp8", "mxfp4"});
  model.stored = method == "fp8" ? DType::fp8 : DType::mxfp4;
  quantization.skip_all({"activation_scheme", "fmt", "ignored_layers", "modules_to_not_convert"});
  if (quantization.has("weight_block_size")) {
    const auto block = quantization.integers("weight_block_size", {1, 1 << 20});
    if (block.size() != 2) quantization.fail("weight_block_size", "expected two numbers, rows and columns");
    model.scale_block_rows = block[0];
    model.scale_block_columns = block[1];
  }
  quantization.skip("weight_block_size");
  quantization.finish();
}

void read_common(ObjectReader& config, ModelSpec& model, bool tied) {
  skip_cosmetic(config);
  expect_silu(config, "hidden_act");
  read_storage(config, model);
  model.hidden = config.integer("hidden_size", kHidden);
  model.vocabulary = config.integer("vocab_size", kVocabulary);
  model.tied_embedding = config.boolean_or("tie_word_embeddings", tied);
}

std::size_t layer_count(ObjectReader& config) {
  return static_cast<std::size_t>(config.integer("num_hidden_layers", kLayers));
}

GroupedQueryAttention read_heads(ObjectReader& config, std::int64_t hidden, std::int64_t usual_dim) {
  GroupedQueryAttention attention;
  attention.heads = config.integer("num_attention_heads", kHeads);
  attention.kv_heads = config.integer("num_key_value_heads", kHeads);
  if (attention.heads % attention.kv_heads != 0) {
    config.fail("num_key_value_heads",
                fmt::format("{} does not divide the {} attention heads", attention.kv_heads, attention.heads));
  }
  attention.head_dim = config.integer_or("head_dim", kHeadDim, usual_dim);
  if (attention.head_dim == 0) {
    if (hidden % attention.heads != 0) {
      config.fail("num_attention_heads",
                  fmt::format("{} does not divide hidden_size {}, and head_dim is missing", attention.heads, hidden));
    }
    attention.head_dim = hidden / attention.heads;
  }
  return attention;
}

void read_attention_bias(ObjectReader& config, GroupedQueryAttention& attention) {
  attention.qkv_bias = attention.output_bias = config.boolean_or("attention_bias", false);
}

MoeFfn read_experts(ObjectReader& config, const ExpertKeys& keys) {
  MoeFfn moe;
  moe.experts = config.integer(keys.experts, kExperts);
  moe.top_k = config.integer(keys.top_k, kExperts);
  moe.width = config.integer(keys.width, kWidth);
  if (moe.top_k > moe.experts) {
    config.fail(keys.top_k, fmt::format("{} experts per token, but there are only {}", moe.top_k, moe.experts));
  }
  return moe;
}

void read_groups(ObjectReader& config, MoeFfn& moe) {
  moe.groups = config.integer_or("n_group", kExperts, 1);
  moe.top_groups = config.integer_or("topk_group", kExperts, 1);
  if (moe.experts % moe.groups != 0) {
    config.fail("n_group", fmt::format("{} groups do not divide {} experts", moe.groups, moe.experts));
  }
  if (moe.top_groups > moe.groups) {
    config.fail("topk_group", fmt::format("{} groups per token, but there are only {}", moe.top_groups, moe.groups));
  }
  if (moe.top_k > moe.experts / moe.groups * moe.top_groups) {
    config.fail("topk_group", fmt::format("{} groups of {} experts cannot give {} experts per token", moe.top_groups,
                                          moe.experts / moe.groups, moe.top_k));
  }
}

Choice choose(std::size_t layers, const Rule& rule) {
  Choice choice;
  for (std::size_t layer = 0; layer < layers; ++layer) choice.push_back(rule(layer));
  return choice;
}

void expect_length(ObjectReader& config, std::string_view key, std::size_t length, std::size_t layers) {
  if (length == layers) return;
  config.fail(key, fmt::format("{} entries for {} layers", length, layers));
}

Choice read_layer_types(ObjectReader& config, std::size_t layers, const std::vector<std::string>& names,
                        const Rule& rule) {
  config.skip("layer_types");
  if (!config.has("layer_types")) return choose(layers, rule);
  const std::vector<std::string> types = config.strings("layer_types");
  expect_length(config, "layer_types", types.size(), layers);
  return choose(layers, [&](std::size_t layer) {
    const auto found = std::find(names.begin(), names.end(), types[layer]);
    if (found == names.end()) {
      config.fail("layer_types",
                  fmt::format("unknown value \"{}\"{}", types[layer].substr(0, 60), did_you_mean(types[layer], names)));
    }
    return static_cast<std::size_t>(found - names.begin());
  });
}

void read_window(ObjectReader& config, GroupedQueryAttention& attention) {
  config.skip("sliding_window");
  if (config.has("sliding_window")) attention.window = config.integer("sliding_window", kPositive);
}

std::vector<Attention> with_window(const GroupedQueryAttention& full, std::int64_t keys) {
  GroupedQueryAttention windowed = full;
  windowed.window = keys;
  return {full, windowed};
}

Stack::Stack(ModelSpec& model, std::vector<Attention> attentions, std::vector<Ffn> ffns)
    : model_(model), attentions_(std::move(attentions)), ffns_(std::move(ffns)) {}

int Stack::kind(std::size_t attention, std::size_t ffn) {
  const auto [found, added] = kinds_.try_emplace({attention, ffn}, static_cast<int>(model_.kinds.size()));
  if (added) model_.kinds.push_back({attentions_.at(attention), ffns_.at(ffn), 2 * model_.hidden});
  return found->second;
}

void Stack::add(const Choice& attentions, const Choice& ffns) {
  MOELINE_EXPECT(attentions.size() == ffns.size());
  for (std::size_t i = 0; i < ffns.size(); ++i) model_.layers.push_back(kind(attentions[i], ffns[i]));
}

void Stack::add_mtp(std::int64_t modules, std::size_t attention, std::size_t ffn) {
  for (std::int64_t i = 0; i < modules; ++i) model_.mtp_layers.push_back(kind(attention, ffn));
}

void stack_alike(ModelSpec& model, std::size_t layers, const Attention& attention, const Ffn& ffn) {
  Stack(model, {attention}, {ffn}).add(choose(layers, first_shape), choose(layers, first_shape));
}

DenseFfn read_dense(ObjectReader& config, std::string_view key, const Choice& ffns) {
  const bool used = std::find(ffns.begin(), ffns.end(), kDense) != ffns.end();
  return {used ? config.integer(key, kWidth) : config.integer_or(key, kWidthOrNone, 0)};
}

}  // namespace moeline
