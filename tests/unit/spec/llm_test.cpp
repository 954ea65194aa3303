#include <catch2/catch.hpp>

#include "spec/json.hpp"
#include "spec/llm.hpp"

using namespace moeline;
using Catch::Matchers::Contains;

namespace {

// A tiny Mixtral: 2 layers, hidden 8, 4 heads of 2, 2 key-value heads, 4 experts of width 16.
Json mixtral() {
  return parse_json(R"({"model_type": "mixtral", "hidden_size": 8, "vocab_size": 10, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 2, "num_local_experts": 4, "num_experts_per_tok": 2,
    "intermediate_size": 16})",
                    "tiny.json");
}

Json deepseek() {
  return parse_json(R"({"model_type": "deepseek_v3", "hidden_size": 8, "vocab_size": 10, "num_hidden_layers": 4,
    "num_attention_heads": 4, "q_lora_rank": 6, "kv_lora_rank": 4, "qk_nope_head_dim": 2, "qk_rope_head_dim": 1,
    "v_head_dim": 2, "n_routed_experts": 8, "num_experts_per_tok": 2, "n_shared_experts": 1,
    "moe_intermediate_size": 16, "intermediate_size": 32, "first_k_dense_replace": 1, "n_group": 4, "topk_group": 2,
    "num_nextn_predict_layers": 1})",
                    "tiny.json");
}

Json gpt_oss() {
  return parse_json(R"({"model_type": "gpt_oss", "hidden_size": 8, "vocab_size": 10, "num_hidden_layers": 4,
    "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 2, "num_local_experts": 4,
    "num_experts_per_tok": 2, "intermediate_size": 8, "sliding_window": 16})",
                    "tiny.json");
}

Json hunyuan() {
  return parse_json(R"({"model_type": "hunyuan_v1_moe", "hidden_size": 8, "vocab_size": 10, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 2, "num_experts": 4, "moe_topk": [1, 2],
    "moe_intermediate_size": [16, 32], "num_shared_expert": [1]})",
                    "tiny.json");
}

Json llama4_text() {
  return parse_json(R"({"model_type": "llama4_text", "hidden_size": 8, "vocab_size": 10, "num_hidden_layers": 4,
    "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 2, "num_local_experts": 4,
    "num_experts_per_tok": 1, "intermediate_size": 16, "intermediate_size_mlp": 32,
    "interleave_moe_layer_step": 2})",
                    "tiny.json");
}

Json qwen_moe() {
  return parse_json(R"({"model_type": "qwen3_moe", "hidden_size": 8, "vocab_size": 10, "num_hidden_layers": 4,
    "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 2, "num_experts": 4,
    "num_experts_per_tok": 2, "moe_intermediate_size": 16, "intermediate_size": 32})",
                    "tiny.json");
}

Json with(Json config, const std::string& key, const Json& value) {
  config[key] = value;
  return config;
}
Json without(Json config, const std::string& key) {
  config.erase(key);
  return config;
}

ModelSpec read(const Json& config) { return read_model(config, "tiny.json", "tiny"); }

std::string problem(const Json& config) {
  try {
    read(config);
  } catch (const SpecError& error) {
    return error.what();
  }
  return "accepted";
}

}  // namespace

TEST_CASE("a tiny Mixtral is read and counted") {
  const ModelSpec model = read(mixtral());
  CHECK(model.name == "tiny");
  CHECK(model.family == "mixtral");
  CHECK(model.layers == std::vector<int>{0, 0});
  const LayerParameters layer = layer_parameters(model, model.layer(0));
  CHECK(layer.attention == 2 * 8 * 8 + 2 * 8 * 4);
  CHECK(layer.expert == 3 * 8 * 16);
  CHECK(layer.experts == 4 * 3 * 8 * 16);
  CHECK(layer.router == 8 * 4);
  CHECK(layer.norms == 2 * 8);
  // Two tables, the final norm, two layers.
  CHECK(parameters(model).main == 2 * 10 * 8 + 8 + 2 * (192 + 1536 + 32 + 16));
  CHECK(parameters(model).active == 2 * 10 * 8 + 8 + 2 * (192 + 768 + 32 + 16));
}

TEST_CASE("GPT-2 has the parameters it was published with") {
  const ModelSpec model = read(parse_json(R"({"model_type": "gpt2", "n_embd": 768, "n_layer": 12, "n_head": 12, "n_positions": 1024,
      "vocab_size": 50257, "resid_pdrop": 0.1, "torch_dtype": "float32"})", "tiny.json"));
  // 12 (12 h^2 + 13 h) of layers, tables of 50,257 and 1,024 rows, the final norm's two vectors
  CHECK(parameters(model).main == 12 * (12 * 589'824 + 13 * 768) + (50'257 + 1024) * 768 + 2 * 768);
  CHECK(parameters(model).main == 124'439'808);
  CHECK(model.dropout);
  CHECK_FALSE(std::get<DenseFfn>(model.layer(0).ffn).gated);
}

TEST_CASE("a misspelt key is named with the nearest known one") {
  const Json config = with(mixtral(), "head_dimm", 2);
  CHECK_THAT(problem(config), Contains("tiny.json#/head_dimm: unknown key, did you mean \"head_dim\"?"));
}

TEST_CASE("a field that may change the arithmetic is refused, a cosmetic one is not") {
  CHECK_THAT(problem(with(mixtral(), "index_topk", 2048)), Contains("tiny.json#/index_topk: unknown key"));
  CHECK(problem(with(mixtral(), "rope_theta", 1e6)) == "accepted");
  CHECK(problem(with(mixtral(), "rope_scaling", nullptr)) == "accepted");
}

TEST_CASE("an unknown family is named with the nearest known one") {
  CHECK_THAT(problem(with(mixtral(), "model_type", "mixtrall")),
             Contains("tiny.json#/model_type: unknown family \"mixtrall\", did you mean \"mixtral\"?"));
  CHECK_THAT(problem(with(mixtral(), "model_type", "mamba2")), Contains("tiny.json#/model_type: unknown family"));
  CHECK_THAT(problem(with(mixtral(), "model_type", 7)), Contains("tiny.json#/model_type: expected a string"));
  CHECK_THAT(problem(without(mixtral(), "model_type")), Contains("tiny.json#/model_type: missing"));
}

TEST_CASE("a config that is not an object is refused") {
  CHECK_THAT(problem(Json::array({1, 2})), Contains("tiny.json: expected an object"));
  CHECK_THAT(problem(Json(nullptr)), Contains("tiny.json: expected an object"));
}

TEST_CASE("missing fields are named") {
  const auto key = GENERATE(
      values<std::string>({"hidden_size", "vocab_size", "num_hidden_layers", "num_attention_heads",
                           "num_key_value_heads", "num_local_experts", "num_experts_per_tok", "intermediate_size"}));
  CHECK_THAT(problem(without(mixtral(), key)), Contains("tiny.json#/" + key + ": missing"));
}

TEST_CASE("zero, negative, fractional and absurd numbers are refused at their key") {
  const auto key = GENERATE(
      values<std::string>({"hidden_size", "vocab_size", "num_hidden_layers", "num_attention_heads",
                           "num_key_value_heads", "num_local_experts", "num_experts_per_tok", "intermediate_size"}));
  const auto value = GENERATE(values<Json>({0, -1, 2.5, "8", std::int64_t{1} << 50, 1e300, true, nullptr}));
  CHECK_THAT(problem(with(mixtral(), key, value)), Contains("tiny.json#/" + key + ": "));
}

TEST_CASE("heads, key-value heads and hidden size must divide") {
  CHECK_THAT(problem(with(mixtral(), "num_key_value_heads", 3)),
             Contains("tiny.json#/num_key_value_heads: 3 does not divide the 4 attention heads"));
  CHECK_THAT(problem(with(with(mixtral(), "num_attention_heads", 6), "num_key_value_heads", 6)),
             Contains("tiny.json#/num_attention_heads: 6 does not divide hidden_size 8"));
}

TEST_CASE("no more experts per token than experts") {
  CHECK_THAT(problem(with(mixtral(), "num_experts_per_tok", 5)),
             Contains("tiny.json#/num_experts_per_tok: 5 experts per token, but there are only 4"));
  CHECK_THAT(problem(with(hunyuan(), "moe_topk", 5)), Contains("tiny.json#/moe_topk: 5 experts per token"));
}

TEST_CASE("DeepSeek's groups must hold the experts and give enough of them") {
  CHECK(problem(deepseek()) == "accepted");
  CHECK_THAT(problem(with(deepseek(), "n_group", 3)), Contains("tiny.json#/n_group: 3 groups do not divide"));
  CHECK_THAT(problem(with(deepseek(), "topk_group", 5)), Contains("tiny.json#/topk_group: 5 groups per token"));
  CHECK_THAT(problem(with(with(deepseek(), "topk_group", 1), "num_experts_per_tok", 3)),
             Contains("tiny.json#/topk_group: 1 groups of 2 experts cannot give 3"));
  const ModelSpec model = read(deepseek());
  CHECK(std::get<MoeFfn>(model.layer(3).ffn).groups == 4);
  CHECK(std::get<MoeFfn>(model.layer(3).ffn).top_groups == 2);
}

TEST_CASE("leading dense layers and multi-token prediction are placed") {
  const ModelSpec model = read(deepseek());
  CHECK(model.layers == std::vector<int>{0, 1, 1, 1});
  CHECK(model.mtp_layers == std::vector<int>{1});
  CHECK_FALSE(model.mtp_shares_embedding);
  CHECK_THAT(problem(with(deepseek(), "first_k_dense_replace", 5)),
             Contains("tiny.json#/first_k_dense_replace: 5 is out of range, expected 0 to 4"));
  CHECK_THAT(problem(with(deepseek(), "num_nextn_predict_layers", -1)),
             Contains("tiny.json#/num_nextn_predict_layers: "));
  CHECK_THAT(problem(with(deepseek(), "topk_method", "noaux")),
             Contains("tiny.json#/topk_method: unknown value \"noaux\""));
}

TEST_CASE("a query rank of null projects directly, a missing one is an error") {
  CHECK(std::get<LatentAttention>(read(with(deepseek(), "q_lora_rank", nullptr)).layer(0).attention).q_rank == 0);
  CHECK_THAT(problem(without(deepseek(), "q_lora_rank")), Contains("tiny.json#/q_lora_rank: missing"));
}

TEST_CASE("layer lists must be as long as the model and name known types") {
  CHECK_THAT(problem(with(gpt_oss(), "layer_types", Json::array({"full_attention"}))),
             Contains("tiny.json#/layer_types: 1 entries for 4 layers"));
  CHECK_THAT(problem(with(gpt_oss(), "layer_types", Json::array({"full_atention", "x", "x", "x"}))),
             Contains("tiny.json#/layer_types: unknown value \"full_atention\", did you mean \"full_attention\"?"));
  CHECK_THAT(problem(with(gpt_oss(), "layer_types", "full_attention")), Contains("tiny.json#/layer_types: expected"));
  CHECK(read(gpt_oss()).layers == std::vector<int>{0, 1, 0, 1});  // sliding first
}

TEST_CASE("the two spellings of top-k in gpt-oss must agree") {
  CHECK(problem(with(gpt_oss(), "experts_per_token", 2)) == "accepted");
  CHECK(problem(with(without(gpt_oss(), "num_experts_per_tok"), "experts_per_token", 2)) == "accepted");
  CHECK_THAT(problem(with(gpt_oss(), "experts_per_token", 3)), Contains("tiny.json#/experts_per_token: differs"));
}

TEST_CASE("Hunyuan layers may all differ, their lists may not be short") {
  const ModelSpec model = read(hunyuan());
  CHECK(model.kinds.size() == 2);
  CHECK(std::get<MoeFfn>(model.layer(0).ffn).top_k == 1);
  CHECK(std::get<MoeFfn>(model.layer(1).ffn).top_k == 2);
  CHECK(std::get<MoeFfn>(model.layer(1).ffn).shared_width == 32);
  CHECK_THAT(problem(with(hunyuan(), "moe_topk", Json::array({1, 2, 2}))),
             Contains("tiny.json#/moe_topk: 3 entries for 2 layers"));
  CHECK_THAT(problem(with(hunyuan(), "moe_topk", Json::array({1, 0}))), Contains("tiny.json#/moe_topk: "));
  CHECK_THAT(problem(with(hunyuan(), "moe_topk", Json::array())), Contains("tiny.json#/moe_topk: 0 entries"));
  CHECK_THAT(problem(with(hunyuan(), "use_cla", true)), Contains("tiny.json#/use_cla: true is not modelled"));
}

TEST_CASE("Llama 4 is read bare and inside its multimodal config, with pointers into text_config") {
  const ModelSpec bare = read(llama4_text());
  CHECK(std::holds_alternative<DenseFfn>(bare.layer(0).ffn));
  CHECK(std::get<MoeFfn>(bare.layer(1).ffn).shared_width == 16);
  Json whole{{"model_type", "llama4"}, {"text_config", llama4_text()}, {"vision_config", Json::object()}};
  CHECK(parameters(read(whole)).main == parameters(bare).main);
  whole["text_config"]["hidden_size"] = -8;
  CHECK_THAT(problem(whole), Contains("tiny.json#/text_config/hidden_size: -8 is out of range"));
  CHECK_THAT(problem(with(llama4_text(), "moe_layers", Json::array({4}))), Contains("tiny.json#/moe_layers: "));
  CHECK_THAT(problem(with(llama4_text(), "no_rope_layers", Json::array({1}))),
             Contains("tiny.json#/no_rope_layers: 1 entries for 4 layers"));
}

TEST_CASE("chunks of Llama 4 can be turned off") {
  const ModelSpec model = read(with(llama4_text(), "attention_chunk_size", nullptr));
  CHECK_FALSE(std::get<GroupedQueryAttention>(model.layer(0).attention).window.has_value());
}

TEST_CASE("Qwen layers are dense where the config says so") {
  const Json config = with(with(qwen_moe(), "decoder_sparse_step", 2), "mlp_only_layers", Json::array({3}));
  const ModelSpec model = read(config);
  CHECK(std::holds_alternative<DenseFfn>(model.layer(0).ffn));
  CHECK(std::holds_alternative<MoeFfn>(model.layer(1).ffn));
  CHECK(std::holds_alternative<DenseFfn>(model.layer(3).ffn));
  CHECK_THAT(problem(without(config, "intermediate_size")), Contains("tiny.json#/intermediate_size: missing"));
  CHECK_THAT(problem(with(qwen_moe(), "mlp_only_layers", Json::array({4}))),
             Contains("tiny.json#/mlp_only_layers: 4 is out of range, expected 0 to 3"));
}

TEST_CASE("a sliding window of Qwen counts only when it is switched on") {
  const Json config = with(qwen_moe(), "sliding_window", 64);
  const auto window = [](const Json& json) {
    return std::get<GroupedQueryAttention>(read(json).layer(0).attention).window;
  };
  CHECK_FALSE(window(config).has_value());
  CHECK(window(with(config, "use_sliding_window", true)) == 64);
}

TEST_CASE("storage comes from quantization_config, else from torch_dtype") {
  CHECK(read(mixtral()).stored == DType::bf16);
  CHECK(read(with(mixtral(), "torch_dtype", "float32")).stored == DType::fp32);
  CHECK_THAT(problem(with(mixtral(), "torch_dtype", "int3")),
             Contains("tiny.json#/torch_dtype: unknown number format"));
  const Json blocks{{"quant_method", "fp8"}, {"weight_block_size", {4, 4}}};
  const ModelSpec model = read(with(mixtral(), "quantization_config", blocks));
  CHECK(model.stored == DType::fp8);
  // q, o: 2 x 2 blocks each; k, v: 1 x 2; an expert: three of 4 x 2.
  CHECK(parameters(model).scales == 2 * (2 * 4 + 2 * 2 + 4 * 3 * 8));
  CHECK_THAT(problem(with(mixtral(), "quantization_config", Json{{"quant_method", "awq"}})),
             Contains("tiny.json#/quantization_config/quant_method: unknown value \"awq\""));
  CHECK_THAT(problem(with(mixtral(), "quantization_config", Json{{"quant_method", "fp8"}, {"weight_block_size", {4}}})),
             Contains("tiny.json#/quantization_config/weight_block_size: expected two numbers"));
  CHECK_THAT(problem(with(mixtral(), "quantization_config", Json{{"quant_method", "fp8"}, {"bits", 8}})),
             Contains("tiny.json#/quantization_config/bits: unknown key"));
}

TEST_CASE("an activation without a gate is refused") {
  CHECK_THAT(problem(with(mixtral(), "hidden_act", "relu")), Contains("tiny.json#/hidden_act: unknown value \"relu\""));
}

TEST_CASE("dimensions that are each possible but together absurd are refused") {
  Json config = with(mixtral(), "hidden_size", 1 << 20);
  config["intermediate_size"] = 1 << 24;
  config["num_local_experts"] = 1 << 16;
  config["num_hidden_layers"] = 10000;
  CHECK_THAT(problem(config), Contains("tiny.json: these dimensions give 3.5e+22 parameters"));
}

TEST_CASE("every family rejects an empty config with a pointer, and is listed") {
  CHECK(model_families().size() == 22);
  for (const std::string& family : model_families()) {
    INFO(family);
    CHECK_THAT(problem(Json{{"model_type", family}}), Contains("tiny.json#/") && Contains("missing"));
  }
}
