#include "spec/llm_families.hpp"

#include <fmt/format.h>

#include <array>
#include <map>

#include "spec/json.hpp"
#include "spec/llm_fields.hpp"

namespace moeline {
namespace {

const std::vector<std::string> kSliding{"full_attention", "sliding_attention"};

// ---- Llama, Mistral, Qwen2, Qwen3: dense ----

// Qwen's sliding window, off in every published model; when on, which layers have it differs by family.
Choice read_qwen_window(ObjectReader& config, const ModelSpec& model, std::size_t layers,
                        std::vector<Attention>& attentions) {
  const auto boundary = static_cast<std::size_t>(config.integer_or("max_window_layers", kNonNegative, 0));
  Choice types = read_layer_types(config, layers, kSliding, [&](std::size_t layer) -> std::size_t {
    if (model.family == "qwen3_moe") return 1;
    if (model.family == "qwen2_moe") return layer < boundary && layer % 2 == 0 ? 1 : 0;
    return layer >= boundary ? 1 : 0;
  });
  config.skip("sliding_window");
  if (!config.boolean_or("use_sliding_window", false)) return choose(layers, first_shape);
  const std::int64_t keys = config.integer("sliding_window", kPositive);
  attentions = with_window(std::get<GroupedQueryAttention>(attentions.at(0)), keys);
  return types;
}

void read_llama(ObjectReader& config, ModelSpec& model) {
  read_common(config, model);
  expect(config, "mlp_bias", false);
  GroupedQueryAttention attention = read_heads(config, model.hidden);
  read_attention_bias(config, attention);
  stack_alike(model, layer_count(config), attention, DenseFfn{config.integer("intermediate_size", kWidth)});
}

void read_mistral(ObjectReader& config, ModelSpec& model) {
  read_common(config, model);
  GroupedQueryAttention attention = read_heads(config, model.hidden);
  read_window(config, attention);
  stack_alike(model, layer_count(config), attention, DenseFfn{config.integer("intermediate_size", kWidth)});
}

void read_dense_qwen(ObjectReader& config, ModelSpec& model) {
  read_common(config, model);
  const bool third = model.family == "qwen3";
  const std::size_t layers = layer_count(config);
  GroupedQueryAttention attention = read_heads(config, model.hidden, third ? 128 : 0);
  if (third) {
    read_attention_bias(config, attention);
    attention.norm_parameters = 2 * attention.head_dim;
  } else {
    attention.qkv_bias = true;
  }
  std::vector<Attention> attentions{attention};
  const Choice windows = read_qwen_window(config, model, layers, attentions);
  const DenseFfn ffn{config.integer("intermediate_size", kWidth)};
  Stack(model, attentions, {ffn}).add(windows, choose(layers, first_shape));
}

// ---- Every layer sparse: Mixtral, OLMoE, Granite, MiniMax-M2, gpt-oss ----

constexpr ExpertKeys kMixtralKeys{"num_local_experts", "num_experts_per_tok", "intermediate_size"};

void read_mixtral(ObjectReader& config, ModelSpec& model) {
  read_common(config, model);
  GroupedQueryAttention attention = read_heads(config, model.hidden);
  read_window(config, attention);
  stack_alike(model, layer_count(config), attention, read_experts(config, kMixtralKeys));
}

void read_olmoe(ObjectReader& config, ModelSpec& model) {
  read_common(config, model);
  GroupedQueryAttention attention = read_heads(config, model.hidden);
  read_attention_bias(config, attention);
  // Norms over all heads at once, not per head.
  attention.norm_parameters = (attention.heads + attention.kv_heads) * attention.head_dim;
  stack_alike(model, layer_count(config), attention,
              read_experts(config, {"num_experts", "num_experts_per_tok", "intermediate_size"}));
}

void read_granite(ObjectReader& config, ModelSpec& model) {
  read_common(config, model);
  GroupedQueryAttention attention = read_heads(config, model.hidden);
  read_attention_bias(config, attention);
  stack_alike(model, layer_count(config), attention, read_experts(config, kMixtralKeys));
}

void read_minimax(ObjectReader& config, ModelSpec& model) {
  read_common(config, model);
  const std::size_t layers = layer_count(config);
  GroupedQueryAttention attention = read_heads(config, model.hidden);
  expect(config, "attention_bias", false);
  if (config.boolean_or("use_qk_norm", true)) {
    attention.norm_parameters = (attention.heads + attention.kv_heads) * attention.head_dim;
  }
  if (config.has("qk_norm_type")) config.one_of("qk_norm_type", {"per_layer"});
  config.skip("qk_norm_type");
  if (config.has("attn_type_list")) {  // 1 is softmax attention, 0 the linear attention of earlier MiniMax models
    expect_length(config, "attn_type_list", config.integers("attn_type_list", {1, 1}).size(), layers);
  }
  config.skip("attn_type_list");
  MoeFfn moe = read_experts(config, kMixtralKeys);
  moe.shared_width = config.integer_or("shared_intermediate_size", kWidthOrNone, 0);
  moe.router_bias = config.boolean_or("use_routing_bias", true);
  // Three MTP modules are configured, but the published checkpoint holds none.
  config.skip_all({"use_mtp", "num_mtp_modules", "mtp_transformer_layers"});
  stack_alike(model, layers, attention, moe);
}

void read_gpt_oss(ObjectReader& config, ModelSpec& model) {
  read_common(config, model);
  const std::size_t layers = layer_count(config);
  GroupedQueryAttention attention = read_heads(config, model.hidden, 64);
  attention.qkv_bias = attention.output_bias = config.boolean_or("attention_bias", true);
  attention.sinks = true;
  const Choice windows = read_layer_types(config, layers, kSliding, [](std::size_t i) { return 1 - i % 2; });
  const std::int64_t keys = config.integer("sliding_window", kPositive);
  // Published configs spell top-k both ways.
  const bool old_key = !config.has("num_experts_per_tok") && config.has("experts_per_token");
  MoeFfn moe = read_experts(
      config, {"num_local_experts", old_key ? "experts_per_token" : "num_experts_per_tok", "intermediate_size"});
  if (config.integer_or("experts_per_token", kExperts, moe.top_k) != moe.top_k) {
    config.fail("experts_per_token", fmt::format("differs from num_experts_per_tok, which is {}", moe.top_k));
  }
  config.skip("num_experts_per_tok");
  moe.router_bias = moe.expert_bias = true;
  Stack(model, with_window(attention, keys), {moe}).add(windows, choose(layers, first_shape));
}

// ---- Qwen MoE ----

// Sparse unless listed in mlp_only_layers or skipped by decoder_sparse_step.
Choice read_qwen_sparse(ObjectReader& config, std::size_t layers) {
  const auto step = static_cast<std::size_t>(config.integer_or("decoder_sparse_step", kLayers, 1));
  Choice ffns = choose(layers, [step](std::size_t layer) { return (layer + 1) % step == 0 ? kSparse : kDense; });
  config.skip("mlp_only_layers");
  if (!config.has("mlp_only_layers")) return ffns;
  for (const std::int64_t layer : config.integers("mlp_only_layers", {0, static_cast<std::int64_t>(layers) - 1})) {
    ffns[static_cast<std::size_t>(layer)] = kDense;
  }
  return ffns;
}

constexpr ExpertKeys kQwenKeys{"num_experts", "num_experts_per_tok", "moe_intermediate_size"};

MoeFfn read_qwen_experts(ObjectReader& config) {
  MoeFfn moe = read_experts(config, kQwenKeys);
  moe.shared_width = config.integer("shared_expert_intermediate_size", kWidthOrNone);
  moe.shared_gate = moe.shared_width > 0;
  return moe;
}

void read_qwen2_moe(ObjectReader& config, ModelSpec& model) {
  read_common(config, model);
  const std::size_t layers = layer_count(config);
  GroupedQueryAttention attention = read_heads(config, model.hidden);
  attention.qkv_bias = config.boolean_or("qkv_bias", true);
  std::vector<Attention> attentions{attention};
  const Choice windows = read_qwen_window(config, model, layers, attentions);
  const Choice ffns = read_qwen_sparse(config, layers);
  const DenseFfn dense = read_dense(config, "intermediate_size", ffns);
  Stack(model, attentions, {dense, read_qwen_experts(config)}).add(windows, ffns);
}

void read_qwen3_moe(ObjectReader& config, ModelSpec& model) {
  read_common(config, model);
  const std::size_t layers = layer_count(config);
  GroupedQueryAttention attention = read_heads(config, model.hidden);
  read_attention_bias(config, attention);
  attention.norm_parameters = 2 * attention.head_dim;
  // Qwen3-Coder states what the family does anyway.
  expect(config, "qkv_bias", false);
  expect(config, "use_qk_norm", true);
  expect_zero(config, "shared_expert_intermediate_size");
  std::vector<Attention> attentions{attention};
  const Choice windows = read_qwen_window(config, model, layers, attentions);
  const Choice ffns = read_qwen_sparse(config, layers);
  const DenseFfn dense = read_dense(config, "intermediate_size", ffns);
  Stack(model, attentions, {dense, read_experts(config, kQwenKeys)}).add(windows, ffns);
}

GatedDeltaNet read_delta_net(ObjectReader& config) {
  GatedDeltaNet net;
  net.key_heads = config.integer("linear_num_key_heads", kHeads);
  net.value_heads = config.integer("linear_num_value_heads", kHeads);
  net.key_dim = config.integer("linear_key_head_dim", kHeadDim);
  net.value_dim = config.integer("linear_value_head_dim", kHeadDim);
  net.conv_width = config.integer("linear_conv_kernel_dim", kConvolution);
  if (net.value_heads % net.key_heads != 0) {
    config.fail("linear_num_value_heads",
                fmt::format("{} is not a multiple of the {} key heads", net.value_heads, net.key_heads));
  }
  return net;
}

void read_qwen3_next(ObjectReader& config, ModelSpec& model) {
  read_common(config, model);
  const std::size_t layers = layer_count(config);
  GroupedQueryAttention full = read_heads(config, model.hidden, 256);
  read_attention_bias(config, full);
  full.output_gate = true;
  full.norm_parameters = 2 * full.head_dim;
  expect(config, "use_sliding_window", false);
  config.skip_all({"sliding_window", "max_window_layers"});
  const auto interval = static_cast<std::size_t>(config.integer_or("full_attention_interval", kLayers, 4));
  const Choice types = read_layer_types(config, layers, {"full_attention", "linear_attention"},
                                        [interval](std::size_t i) { return (i + 1) % interval == 0 ? 0u : 1u; });
  const Choice ffns = read_qwen_sparse(config, layers);
  const DenseFfn dense = read_dense(config, "intermediate_size", ffns);
  Stack stack(model, {full, read_delta_net(config)}, {dense, read_qwen_experts(config)});
  stack.add(types, ffns);
  stack.add_mtp(1, 0, kSparse);  // in the checkpoint, though the config has no field for it
}

// ---- DeepSeek, Kimi-K2, GLM-4.5: leading dense layers, shared experts, MTP ----

LatentAttention read_latent(ObjectReader& config) {
  LatentAttention attention;
  attention.heads = config.integer("num_attention_heads", kHeads);
  if (!config.any("q_lora_rank").is_null()) attention.q_rank = config.integer("q_lora_rank", kRank);
  attention.kv_rank = config.integer("kv_lora_rank", kRank);
  attention.nope_dim = config.integer("qk_nope_head_dim", kHeadDim);
  attention.rope_dim = config.integer("qk_rope_head_dim", kHeadDim);
  attention.value_dim = config.integer("v_head_dim", kHeadDim);
  expect(config, "attention_bias", false);
  // Latent attention caches no heads; transformers writes these derived values into newer configs.
  config.skip_all({"num_key_value_heads", "head_dim", "qk_head_dim"});
  return attention;
}

MoeFfn read_deepseek_experts(ObjectReader& config) {
  MoeFfn moe = read_experts(config, {"n_routed_experts", "num_experts_per_tok", "moe_intermediate_size"});
  moe.shared_width = moe.width * config.integer_or("n_shared_experts", kSharedExperts, 0);
  read_groups(config, moe);
  return moe;
}

Choice read_leading_dense(ObjectReader& config, std::size_t layers) {
  const auto all = static_cast<std::int64_t>(layers);
  const auto dense = static_cast<std::size_t>(config.integer_or("first_k_dense_replace", {0, all}, 0));
  const auto step = static_cast<std::size_t>(config.integer_or("moe_layer_freq", kLayers, 1));
  return choose(layers, [=](std::size_t i) { return i >= dense && i % step == 0 ? kSparse : kDense; });
}

void stack_deepseek(ObjectReader& config, ModelSpec& model, const Attention& attention, const MoeFfn& moe) {
  const std::size_t layers = layer_count(config);
  const Choice ffns = read_leading_dense(config, layers);
  Stack stack(model, {attention}, {read_dense(config, "intermediate_size", ffns), moe});
  stack.add(choose(layers, first_shape), ffns);
  stack.add_mtp(config.integer_or("num_nextn_predict_layers", kModules, 0), 0, kSparse);
  model.mtp_shares_embedding = model.mtp_layers.empty();  // these checkpoints store copies for their modules
}

void read_deepseek(ObjectReader& config, ModelSpec& model) {
  read_common(config, model);
  MoeFfn moe = read_deepseek_experts(config);
  std::string method = model.family == "deepseek_v2" ? "greedy" : "noaux_tc";
  if (config.has("topk_method")) {
    method = config.one_of("topk_method", {"greedy", "group_limited_greedy", "noaux_tc"});
  }
  config.skip("topk_method");
  moe.router_bias = method == "noaux_tc";  // the correction that balances load without an auxiliary loss
  if (method == "greedy") moe.groups = moe.top_groups = 1;
  stack_deepseek(config, model, read_latent(config), moe);
}

void read_glm4_moe(ObjectReader& config, ModelSpec& model) {
  read_common(config, model);
  GroupedQueryAttention attention = read_heads(config, model.hidden, 128);
  attention.qkv_bias = config.boolean_or("attention_bias", false);  // never on the output projection
  if (config.boolean_or("use_qk_norm", false)) attention.norm_parameters = 2 * attention.head_dim;
  MoeFfn moe = read_deepseek_experts(config);
  moe.router_bias = true;
  stack_deepseek(config, model, attention, moe);
}

// ---- Llama 4 ----

// Three of four layers see only the chunk their token is in; the fourth, without rotary positions, sees everything.
Choice read_chunked(ObjectReader& config, std::size_t layers) {
  const auto interval = static_cast<std::size_t>(config.integer_or("no_rope_layer_interval", kLayers, 4));
  std::vector<std::int64_t> rotary;
  config.skip("no_rope_layers");
  if (config.has("no_rope_layers")) rotary = config.integers("no_rope_layers", {0, 1});
  if (!rotary.empty()) expect_length(config, "no_rope_layers", rotary.size(), layers);
  return read_layer_types(config, layers, {"full_attention", "chunked_attention"},
                          [&](std::size_t layer) -> std::size_t {
                            if (!rotary.empty()) return static_cast<std::size_t>(rotary[layer]);
                            return (layer + 1) % interval == 0 ? 0 : 1;
                          });
}

Choice read_interleaved(ObjectReader& config, std::size_t layers) {
  const auto step = static_cast<std::size_t>(config.integer_or("interleave_moe_layer_step", kLayers, 1));
  config.skip("moe_layers");
  if (!config.has("moe_layers")) {
    return choose(layers, [step](std::size_t layer) { return (layer + 1) % step == 0 ? kSparse : kDense; });
  }
  Choice ffns = choose(layers, first_shape);
  for (const std::int64_t layer : config.integers("moe_layers", {0, static_cast<std::int64_t>(layers) - 1})) {
    ffns[static_cast<std::size_t>(layer)] = kSparse;
  }
  return ffns;
}

void read_llama4_text(ObjectReader& config, ModelSpec& model) {
  read_common(config, model);
  const std::size_t layers = layer_count(config);
  GroupedQueryAttention attention = read_heads(config, model.hidden, 128);
  read_attention_bias(config, attention);
  config.boolean_or("use_qk_norm", true);  // a norm without weights
  const Choice ffns = read_interleaved(config, layers);
  const DenseFfn dense = read_dense(config, "intermediate_size_mlp", ffns);
  MoeFfn moe = read_experts(config, kMixtralKeys);
  moe.shared_width = moe.width;  // always one shared expert
  Choice chunked = read_chunked(config, layers);
  const std::int64_t chunk = config.integer_or("attention_chunk_size", kPositive, 8192);
  const bool no_chunks = config.json().contains("attention_chunk_size") && !config.has("attention_chunk_size");
  if (no_chunks) chunked = choose(layers, first_shape);
  std::vector<Attention> attentions = with_window(attention, chunk);
  std::get<GroupedQueryAttention>(attentions.back()).chunked = true;
  Stack(model, attentions, {dense, moe}).add(chunked, ffns);
}

// The language model only: the vision tower of the multimodal checkpoint is not counted.
void read_llama4(ObjectReader& config, ModelSpec& model) {
  skip_cosmetic(config);
  config.skip_all({"vision_config", "boi_token_index", "eoi_token_index", "image_token_index"});
  ObjectReader text = config.object("text_config");
  if (text.has("model_type")) text.one_of("model_type", {"llama4_text"});
  read_llama4_text(text, model);
  text.finish();
  read_storage(config, model);
  model.tied_embedding = config.boolean_or("tie_word_embeddings", model.tied_embedding);
}

// ---- ERNIE 4.5, Hunyuan, DBRX: their own names ----

void read_ernie(ObjectReader& config, ModelSpec& model) {
  constexpr bool kTied = true;
  read_common(config, model, kTied);
  expect(config, "use_bias", false);
  expect_zero(config, "num_nextn_predict_layers");
  const std::size_t layers = layer_count(config);
  const GroupedQueryAttention attention = read_heads(config, model.hidden);
  const std::int64_t last_layer = static_cast<std::int64_t>(layers) - 1;
  const std::int64_t first = config.integer_or("moe_layer_start_index", {0, last_layer}, 1);
  std::int64_t last = config.integer_or("moe_layer_end_index", {-1, last_layer}, -1);
  if (last == -1) last = last_layer;
  const std::int64_t step = config.integer_or("moe_layer_interval", kLayers, 1);
  const Choice ffns = choose(layers, [=](std::size_t index) {
    const auto layer = static_cast<std::int64_t>(index);
    return layer >= first && layer <= last && (layer + 1) % step == 0 ? kSparse : kDense;
  });
  MoeFfn moe = read_experts(config, {"moe_num_experts", "moe_k", "moe_intermediate_size"});
  moe.shared_width = moe.width * config.integer_or("moe_num_shared_experts", kSharedExperts, 0);
  moe.router_bias = config.boolean_or("moe_use_aux_free", true);
  const DenseFfn dense = read_dense(config, "intermediate_size", ffns);
  Stack(model, {attention}, {dense, moe}).add(choose(layers, first_shape), ffns);
}

// One number for all layers, or a list with one for each.
std::vector<std::int64_t> read_per_layer(ObjectReader& config, std::string_view key, IntegerRange range,
                                         std::size_t layers) {
  if (!config.any(key).is_array()) return std::vector<std::int64_t>(layers, config.integer(key, range));
  std::vector<std::int64_t> values = config.integers(key, range);
  if (values.size() == 1) return std::vector<std::int64_t>(layers, values[0]);
  expect_length(config, key, values.size(), layers);
  return values;
}

std::vector<MoeFfn> read_hunyuan_experts(ObjectReader& config, std::size_t layers) {
  const auto experts = read_per_layer(config, "num_experts", kExperts, layers);
  const auto top_k = read_per_layer(config, "moe_topk", kExperts, layers);
  const auto width = read_per_layer(config, "moe_intermediate_size", kWidth, layers);
  const bool shares = config.boolean_or("use_mixed_mlp_moe", true);
  std::vector<std::int64_t> shared(layers, 0);
  if (shares) shared = read_per_layer(config, "num_shared_expert", kSharedExperts, layers);
  config.skip("num_shared_expert");
  std::vector<MoeFfn> all;
  for (std::size_t i = 0; i < layers; ++i) {
    if (top_k[i] > experts[i]) {
      config.fail("moe_topk", fmt::format("{} experts per token, but there are only {}", top_k[i], experts[i]));
    }
    MoeFfn moe;
    moe.experts = experts[i];
    moe.top_k = top_k[i];
    moe.width = width[i];
    moe.shared_width = width[i] * shared[i];
    all.push_back(moe);
  }
  return all;
}

// The published config carries fields of siblings: latent attention, a classifier, images and video.
// clang-format off
constexpr auto kHunyuanLeftovers = std::to_array<std::string_view>({
    "q_lora_rank", "kv_lora_rank", "qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim", "n_group", "topk_group",
    "add_classification_head", "class_num", "dense_list", "enable_lm_head_fp32", "mask_init_id", "norm_type",
    "num_media_embeds", "pool_type", "position_embedding_xdrope", "text_end_id", "text_start_id",
    "use_rotary_pos_emb", "im_end_id", "im_newline_id", "im_start_id", "image_token_id", "video_end_id",
    "video_start_id", "vit_path", "vit_type", "vit_token", "vit_mapping_type", "vit_patch", "vit_norm_type"});
// clang-format on

void read_hunyuan(ObjectReader& config, ModelSpec& model) {
  read_common(config, model);
  expect(config, "use_cla", false);  // layers sharing keys and values
  expect(config, "use_mla", false);
  expect(config, "mlp_bias", false);
  expect(config, "group_limited_greedy", false);
  expect_zero(config, "moe_layer_num_skipped");
  for (const std::string_view key : kHunyuanLeftovers) {
    if (config.json().contains(key)) config.skip(key);
  }
  config.integer_or("intermediate_size", kWidthOrNone, 0);  // no layer is dense
  const std::size_t layers = layer_count(config);
  GroupedQueryAttention attention = read_heads(config, model.hidden);
  if (config.integer_or("attention_head_dim", kHeadDim, attention.head_dim) != attention.head_dim) {
    config.fail("attention_head_dim", fmt::format("differs from head_dim, which is {}", attention.head_dim));
  }
  read_attention_bias(config, attention);
  if (config.boolean_or("use_qk_norm", true)) attention.norm_parameters = 2 * attention.head_dim;
  std::map<std::array<std::int64_t, 4>, std::size_t> shapes;
  std::vector<Ffn> ffns;
  Choice choice;
  for (const MoeFfn& moe : read_hunyuan_experts(config, layers)) {
    const auto [shape, added] = shapes.try_emplace({moe.experts, moe.top_k, moe.width, moe.shared_width}, ffns.size());
    if (added) ffns.emplace_back(moe);
    choice.push_back(shape->second);
  }
  Stack(model, {attention}, ffns).add(choose(layers, first_shape), choice);
}

GroupedQueryAttention read_dbrx_attention(ObjectReader& config, std::int64_t hidden) {
  GroupedQueryAttention attention;
  attention.heads = config.integer("n_heads", kHeads);
  ObjectReader nested = config.object("attn_config");
  skip_cosmetic(nested);
  attention.kv_heads = nested.integer("kv_n_heads", kHeads);
  nested.finish();
  if (hidden % attention.heads != 0) {
    config.fail("n_heads", fmt::format("{} does not divide d_model {}", attention.heads, hidden));
  }
  if (attention.heads % attention.kv_heads != 0) {
    nested.fail("kv_n_heads", fmt::format("{} does not divide the {} heads", attention.kv_heads, attention.heads));
  }
  attention.head_dim = hidden / attention.heads;
  return attention;
}

void read_dbrx(ObjectReader& config, ModelSpec& model) {
  skip_cosmetic(config);
  read_storage(config, model);
  model.hidden = config.integer("d_model", kHidden);
  model.vocabulary = config.integer("vocab_size", kVocabulary);
  model.tied_embedding = config.boolean_or("tie_word_embeddings", false);
  const GroupedQueryAttention attention = read_dbrx_attention(config, model.hidden);
  ObjectReader nested = config.object("ffn_config");
  skip_cosmetic(nested);
  if (nested.has("ffn_act_fn")) {
    ObjectReader activation = nested.object("ffn_act_fn");
    expect_silu(activation, "name");
    activation.finish();
  }
  nested.skip("ffn_act_fn");
  const MoeFfn moe = read_experts(nested, {"moe_num_experts", "moe_top_k", "ffn_hidden_size"});
  nested.finish();
  stack_alike(model, static_cast<std::size_t>(config.integer("n_layers", kLayers)), attention, moe);
}

}  // namespace

const std::vector<Family>& families() {
  static const std::vector<Family> all{
      {"mixtral", read_mixtral},        {"qwen2_moe", read_qwen2_moe},
      {"qwen3_moe", read_qwen3_moe},    {"qwen3_next", read_qwen3_next},
      {"deepseek_v2", read_deepseek},   {"deepseek_v3", read_deepseek},
      {"kimi_k2", read_deepseek},       {"glm4_moe", read_glm4_moe},
      {"gpt_oss", read_gpt_oss},        {"olmoe", read_olmoe},
      {"llama4", read_llama4},          {"llama4_text", read_llama4_text},
      {"minimax_m2", read_minimax},     {"ernie4_5_moe", read_ernie},
      {"hunyuan_v1_moe", read_hunyuan}, {"dbrx", read_dbrx},
      {"granitemoe", read_granite},     {"llama", read_llama},
      {"mistral", read_mistral},        {"qwen2", read_dense_qwen},
      {"qwen3", read_dense_qwen},       {"gpt2", read_gpt2},
  };
  return all;
}

}  // namespace moeline
