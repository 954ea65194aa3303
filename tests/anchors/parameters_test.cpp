// Do the counts equal what the checkpoints hold?
//
// "stored": the count equals the total of a published safetensors index. "rounded": only a rounded figure is
// published, and the count agrees with it. Sources and formulas: docs/theory/parameters.md.
#include <catch2/catch.hpp>
#include <filesystem>
#include <set>

#include "spec/json.hpp"
#include "spec/llm.hpp"

using namespace moeline;

namespace {

ModelSpec published(const std::string& name) {
  const std::string path = std::string(MOELINE_SOURCE_DIR) + "/model_configs/" + name + ".json";
  return read_model(parse_json(read_file(path), path), path, name);
}

LayerParameters last_layer(const std::string& name) {
  const ModelSpec model = published(name);
  return layer_parameters(model, model.layer(model.layers.size() - 1));
}

std::int64_t attention_of(const std::string& name) { return last_layer(name).attention; }
std::int64_t expert_of(const std::string& name) { return last_layer(name).expert; }
std::int64_t router_of(const std::string& name) { return last_layer(name).router; }
std::int64_t embedding_of(const std::string& name) { return parameters(published(name)).embedding; }
std::int64_t dense_ffn_of(const std::string& name) {
  const ModelSpec model = published(name);
  return layer_parameters(model, model.layer(0)).dense_ffn;
}

struct Row {
  const char* name;
  std::int64_t main, active;
};

}  // namespace

TEST_CASE("total and active parameters of published mixture-of-experts models are exact") {
  const auto row = GENERATE(values<Row>({
      {"mixtral-8x7b", 46'702'792'704, 12'879'925'248},             // rounded: 46.7B / 12.9B
      {"mixtral-8x22b", 140'620'634'112, 39'152'031'744},           // rounded: 141B / 39B, vocabulary 32000
      {"mixtral-8x22b-instruct", 140'630'071'296, 39'161'468'928},  // rounded: 141B / 39B, vocabulary 32768
      {"deepseek-v3", 671'026'419'200, 37'552'297'472},             // stored, see its own test
      {"deepseek-v2", 235'741'434'880, 21'375'800'320},             // rounded: 236B / 21B
      {"deepseek-v2-lite", 15'706'484'224, 2'661'150'208},          // rounded: 15.7B / 2.4B without the embedding
      // A third-party table has 3,416 = 61 x 56 more: one row of 7168 / 128 scales per layer would explain it.
      {"kimi-k2", 1'026'408'232'448, 32'861'500'928},              // rounded: 1T / 32B
      {"qwen3-30b-a3b", 30'532'122'624, 3'353'032'704},            // stored
      {"qwen3-235b-a22b", 235'093'634'560, 22'190'763'520},        // stored
      {"qwen3-coder-480b-a35b", 480'154'875'392, 35'474'765'312},  // rounded: 480B / 35B
      {"gpt-oss-20b", 20'914'757'184, 4'187'440'704},              // stored; 3.6B active is without the embedding
      {"gpt-oss-120b", 116'829'156'672, 5'711'982'912},            // stored; 5.1B active is without the embedding
      {"glm-4.5", 352'797'829'024, 33'632'266'144},                // stored with MTP; 32B active is without both tables
      {"glm-4.5-air", 106'852'251'264, 13'424'129'664},            // stored with MTP; 12B active is without both tables
      {"olmoe-1b-7b", 6'919'161'856, 1'282'017'280},               // stored
      {"llama-4-scout", 107'769'861'120, 17'172'894'720},          // rounded: 109B with the vision tower
      {"llama-4-maverick", 400'711'848'960, 17'184'691'200},       // stored with 871,932,416 of vision
      {"minimax-m2", 228'689'764'864, 11'030'553'088},             // stored with its scales; 230B / 10B
      {"qwen3-next-80b-a3b", 79'674'391'296, 3'874'929'408},       // stored with MTP
      {"ernie-4.5-21b-a3b", 21'825'437'888, 3'352'150'208},        // rounded: 21B / 3B
      {"hunyuan-a13b", 80'393'183'232, 12'747'448'320},            // rounded: 80B / 13B
      {"dbrx", 131'596'523'520, 36'469'708'800},                   // rounded: 132B / 36B
  }));
  INFO(row.name);
  const ModelParameters count = parameters(published(row.name));
  CHECK(count.main == row.main);
  CHECK(count.active == row.active);
}

TEST_CASE("active parameters are given with and without the tables at either end") {
  const ModelParameters v3 = parameters(published("deepseek-v3"));
  CHECK(v3.active_without_embedding == 36'625'618'432);           // 37,552,297,472 - 129,280 x 7,168
  CHECK(v3.active_without_embedding_and_head == 35'698'939'392);  // and once more
  CHECK(parameters(published("deepseek-v2-lite")).active_without_embedding == 2'451'435'008);  // published: 2.4B
  CHECK(parameters(published("gpt-oss-20b")).active_without_embedding == 3'608'307'264);       // published: 3.6B
  CHECK(parameters(published("gpt-oss-120b")).active_without_embedding == 5'132'849'472);      // published: 5.1B
  // published: 32B; 33,632,266,144 - 2 x 151,552 x 5,120
  CHECK(parameters(published("glm-4.5")).active_without_embedding_and_head == 32'080'373'664);
}

TEST_CASE("a tied table is counted once and stays active as the head") {
  const ModelParameters hunyuan = parameters(published("hunyuan-a13b"));
  CHECK(hunyuan.embedding == 128'167LL * 4'096);
  CHECK(hunyuan.head == 0);
  CHECK(hunyuan.active_without_embedding == hunyuan.active);
  CHECK(hunyuan.active_without_embedding_and_head == hunyuan.active - 128'167LL * 4'096);
}

TEST_CASE("attention parameters of one layer are exact") {
  CHECK(attention_of("mixtral-8x7b") == 41'943'040);  // 2 x 4096 x 4096 + 2 x 4096 x 1024
  CHECK(attention_of("deepseek-v3") == 187'107'328);  // low-rank: 7168x1536, 1536x24576, 7168x576, 512x32768, ...
  CHECK(attention_of("deepseek-v2") == 149'227'520);
  CHECK(attention_of("kimi-k2") == 101'124'096);       // as V3 with half the heads
  CHECK(attention_of("qwen3-30b-a3b") == 18'874'624);  // 2 x 2048 x 4096 + 2 x 2048 x 512 + 2 x 128
  CHECK(attention_of("qwen3-235b-a22b") == 71'303'424);
  CHECK(attention_of("gpt-oss-120b") == 26'550'144);  // 26,542,080 + biases 4096 + 2 x 512 + 2880 + 64 sinks
  CHECK(attention_of("glm-4.5") == 136'329'472);      // with 12288 + 2 x 1024 of bias and 2 x 128 of norm
  CHECK(attention_of("olmoe-1b-7b") == 16'781'312);   // 4 x 2048^2 + 2 x 2048 of norm
  CHECK(attention_of("llama-4-scout") == 62'914'560);
  CHECK(attention_of("minimax-m2") == 44'047'360);          // 44,040,192 + 6144 + 1024 of norm
  CHECK(attention_of("qwen3-next-80b-a3b") == 27'263'488);  // the last layer has full attention, q doubled
}

TEST_CASE("a gated delta net layer of Qwen3-Next is exact") {
  const ModelSpec model = published("qwen3-next-80b-a3b");
  // 2048 x 12,288 + 2048 x 64 + 8192 x 4 convolution + 2 x 32 + 128 + 4096 x 2048
  CHECK(layer_parameters(model, model.layer(0)).attention == 33'718'464);
  CHECK(std::holds_alternative<GatedDeltaNet>(model.layer(0).attention));
  CHECK(std::holds_alternative<GroupedQueryAttention>(model.layer(3).attention));
}

TEST_CASE("one expert is exact") {
  CHECK(expert_of("mixtral-8x7b") == 176'160'768);        // 3 x 4096 x 14336
  CHECK(expert_of("deepseek-v3") == 44'040'192);          // 3 x 7168 x 2048
  CHECK(expert_of("deepseek-v2") == 23'592'960);          // 3 x 5120 x 1536
  CHECK(last_layer("deepseek-v2").shared == 47'185'920);  // two of them
  CHECK(expert_of("kimi-k2") == 44'040'192);
  CHECK(expert_of("qwen3-30b-a3b") == 4'718'592);  // 3 x 2048 x 768
  CHECK(expert_of("qwen3-235b-a22b") == 18'874'368);
  CHECK(expert_of("gpt-oss-120b") == 24'891'840);  // 3 x 2880^2 + 3 x 2880 of bias
  CHECK(expert_of("glm-4.5") == 23'592'960);
  CHECK(expert_of("olmoe-1b-7b") == 6'291'456);
  CHECK(expert_of("llama-4-scout") == 125'829'120);
  CHECK(expert_of("minimax-m2") == 14'155'776);
  CHECK(expert_of("qwen3-next-80b-a3b") == 3'145'728);                  // 3 x 2048 x 512
  CHECK(last_layer("qwen3-next-80b-a3b").shared == 3'145'728 + 2'048);  // and its gate
}

TEST_CASE("router and its bias are exact") {
  CHECK(router_of("mixtral-8x7b") == 32'768);    // 4096 x 8
  CHECK(router_of("deepseek-v3") == 1'835'264);  // 7168 x 256 + 256
  CHECK(router_of("deepseek-v2") == 819'200);    // 5120 x 160, no bias
  CHECK(router_of("kimi-k2") == 2'752'896);      // 7168 x 384 + 384
  CHECK(router_of("qwen3-30b-a3b") == 262'144);
  CHECK(router_of("qwen3-235b-a22b") == 524'288);
  CHECK(router_of("gpt-oss-120b") == 368'768);  // 2880 x 128 + 128
  CHECK(router_of("glm-4.5") == 819'360);       // 5120 x 160 + 160
  CHECK(router_of("olmoe-1b-7b") == 131'072);
  CHECK(router_of("llama-4-scout") == 81'920);
  CHECK(router_of("minimax-m2") == 786'688);  // 3072 x 256 + 256
  CHECK(router_of("qwen3-next-80b-a3b") == 1'048'576);
}

TEST_CASE("dense feed-forward layers are exact") {
  CHECK(dense_ffn_of("deepseek-v3") == 396'361'728);  // 3 x 7168 x 18432
  CHECK(dense_ffn_of("deepseek-v2") == 188'743'680);  // 3 x 5120 x 12288
  CHECK(dense_ffn_of("kimi-k2") == 396'361'728);
  CHECK(dense_ffn_of("glm-4.5") == 188'743'680);
  CHECK(dense_ffn_of("llama-4-maverick") == 251'658'240);  // 3 x 5120 x 16384
}

TEST_CASE("one embedding table is vocabulary times hidden") {
  CHECK(embedding_of("mixtral-8x7b") == 131'072'000);
  CHECK(embedding_of("deepseek-v3") == 926'679'040);
  CHECK(embedding_of("deepseek-v2") == 524'288'000);
  CHECK(embedding_of("kimi-k2") == 1'174'405'120);
  CHECK(embedding_of("qwen3-30b-a3b") == 311'164'928);
  CHECK(embedding_of("qwen3-235b-a22b") == 622'329'856);
  CHECK(embedding_of("gpt-oss-120b") == 579'133'440);
  CHECK(embedding_of("glm-4.5") == 775'946'240);
  CHECK(embedding_of("olmoe-1b-7b") == 103'022'592);
  CHECK(embedding_of("llama-4-scout") == 1'034'485'760);
  CHECK(embedding_of("minimax-m2") == 614'596'608);
  CHECK(embedding_of("qwen3-next-80b-a3b") == 311'164'928);
}

TEST_CASE("the DeepSeek-V3 checkpoint adds up to the last element") {
  const ModelParameters count = parameters(published("deepseek-v3"));
  CHECK(last_layer("deepseek-v3").total() == 11'507'286'272);
  CHECK(count.mtp_unique == 11'610'068'224);  // 2 x 7168^2 + 3 x 7168 + 11,507,286,272
  CHECK(count.mtp == 13'463'426'304);         // and copies of both tables, 2 x 926,679,040
  CHECK(count.scales == 41'540'496);          // the F32 part of the index, less 59 x 256 correction biases
  CHECK(count.checkpoint == 684'531'386'000);
  CHECK(count.main + count.mtp + count.scales == count.checkpoint);
}

TEST_CASE("checkpoints with multi-token prediction add up") {
  // 2 x 5120^2 + 3 x 5120 + one MoE layer 3,935,625,632 + copies of both tables 1,551,892,480
  CHECK(parameters(published("glm-4.5")).mtp == 5'539'962'272);
  CHECK(parameters(published("glm-4.5")).checkpoint == 358'337'791'296);
  CHECK(parameters(published("glm-4.5-air")).checkpoint == 110'468'824'832);
  // 2 x 2048^2 + 3 x 2048 + one full-attention MoE layer 1,642,076,672; the tables are shared
  CHECK(parameters(published("qwen3-next-80b-a3b")).mtp == 1'650'471'424);
  CHECK(parameters(published("qwen3-next-80b-a3b")).checkpoint == 81'324'862'720);
}

TEST_CASE("FP8 block scales are one number per 128 x 128 block of every projection") {
  CHECK(parameters(published("minimax-m2")).scales == 13'880'064);  // 62 x (48x24 x 2 + 8x24 x 2 + 256 x 3 x 12x24)
  CHECK(parameters(published("minimax-m2")).checkpoint == 228'703'644'928);
  CHECK(parameters(published("kimi-k2")).scales == 62'495'192);  // not checked against an index
}

TEST_CASE("storage formats are those of the checkpoints") {
  CHECK(published("deepseek-v3").stored == DType::fp8);
  CHECK(published("deepseek-v3").scale_block_rows == 128);
  CHECK(published("deepseek-v3").scale_block_columns == 128);
  CHECK(published("gpt-oss-120b").stored == DType::mxfp4);
  CHECK(published("mixtral-8x7b").stored == DType::bf16);
}

TEST_CASE("attention windows lie on the layers that have them") {
  const auto windowed = [](const std::string& name) {
    const ModelSpec model = published(name);
    std::vector<std::int64_t> windows;
    for (std::size_t i = 0; i < 4; ++i) {
      windows.push_back(std::get<GroupedQueryAttention>(model.layer(i).attention).window.value_or(0));
    }
    return windows;
  };
  CHECK(windowed("gpt-oss-20b") == std::vector<std::int64_t>{128, 0, 128, 0});
  CHECK(windowed("llama-4-scout") == std::vector<std::int64_t>{8192, 8192, 8192, 0});
  CHECK(windowed("qwen3-30b-a3b") == std::vector<std::int64_t>{0, 0, 0, 0});
  CHECK(windowed("mixtral-8x7b") == std::vector<std::int64_t>{0, 0, 0, 0});
}

TEST_CASE("every config in model_configs is readable, and its layers are few kinds") {
  const std::filesystem::path folder = std::string(MOELINE_SOURCE_DIR) + "/model_configs";
  std::set<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() == ".json") names.insert(entry.path().stem().string());
  }
  CHECK(names.size() >= 22);
  for (const std::string& name : names) {
    INFO(name);
    const ModelSpec model = published(name);
    CHECK(model.kinds.size() <= 3);
    CHECK(parameters(model).main >= parameters(model).active);
  }
}
