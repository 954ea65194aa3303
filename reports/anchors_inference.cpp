// Loading a checkpoint, experts backends, adapters, and speculation, against what their authors published.
#include <fmt/format.h>

#include <array>

#include "memory/footprint.hpp"
#include "ops/decoder.hpp"
#include "plan/experts_backends.hpp"
#include "plan/serving/load.hpp"
#include "plan/serving/speculate.hpp"
#include "reports/anchor_machines.hpp"
#include "spec/catalogue.hpp"
#include "spec/json.hpp"

namespace moeline {
namespace {

constexpr const char* kBlog = "huggingface.co/blog/moe-transformers, 2026";
constexpr const char* kPull = "huggingface/transformers pull request 42697; GPU not named, taken as A100";
constexpr const char* kUnsloth = "unsloth.ai/docs/new/faster-moe, 2026";
constexpr const char* kSsd = "arXiv 2603.03251, as quoted by several readers; HumanEval to average of four data sets";
constexpr const char* kReproduction = "Weili-0234/ssd-wl, an independent reproduction";

ModelSpec catalogue_model(const std::string& name) {
  const Document document = find_model(name, "anchors");
  return read_model(document.json, document.origin, document.name);
}

// As its published config has it.
ModelSpec qwen_110b() {
  const Json config{{"model_type", "qwen2"},       {"hidden_size", 8192},         {"num_hidden_layers", 80},
                    {"num_attention_heads", 64},   {"num_key_value_heads", 8},    {"intermediate_size", 49152},
                    {"vocab_size", 152064},        {"tie_word_embeddings", false}, {"use_sliding_window", false},
                    {"torch_dtype", "bfloat16"}};
  return read_model(config, "anchors", "qwen1.5-110b");
}

void add_loads(std::vector<Anchor>& list) {
  const Document a100 = find_hardware("a100-sxm", "anchors");
  Cluster cluster = read_cluster(a100.json, a100.origin);
  cluster.devices = 8;
  const ModelSpec model = qwen_110b();
  struct Row {
    const char* name;
    LoadPlan plan;
    double seconds;
    bool input;
  };
  constexpr auto kMap = Placement::device_map, kTensor = Placement::tensor_parallel;
  for (const Row& row : {Row{"v5, device_map, read ahead", {Loader::v5, kMap, true}, 20.71, true},
                         Row{"v5, device_map, in turn", {Loader::v5, kMap, false}, 45.3, false},
                         Row{"v5, tensor parallel, read ahead", {Loader::v5, kTensor, true}, 10.1, true},
                         Row{"v5, tensor parallel, in turn", {Loader::v5, kTensor, false}, 19.28, false},
                         Row{"v4, device_map, threads", {Loader::v4, kMap, true}, 66.24, false},
                         Row{"v4, device_map, one by one", {Loader::v4, kMap, false}, 67.29, false}}) {
    const double predicted = std::get<LoadAnswer>(load(model, cluster, row.plan)).time.in(second);
    list.push_back({"load of Qwen1.5-110B, 8 x A100", row.name, row.seconds, predicted, "s", row.input, 0.20, kBlog});
  }
}

// 24 layers of Qwen1.5-MoE-A2.7B on 16 tokens, by operators that Python issues or by the kernels behind them.
struct SmallStep {
  static constexpr double kLayers = 24, kTokens = 16;
  static constexpr double kOther = 48;  // operators of a layer outside its experts

  const AnchorMachine machine{"a100-sxm"};
  const ModelSpec model = catalogue_model("qwen1.5-moe-a2.7b");

  BackendRow experts(ExpertsBackend backend, Compile compile) const {
    const ExpertsCode code{.backends = {backend}, .compile = compile};
    const ExpertsCall call{.moe = std::get<MoeFfn>(model.kinds[0].ffn), .hidden = static_cast<double>(model.hidden), .tokens = kTokens};
    return compare_backends(code, call, {}, machine.machine()).rows[0];
  }

  double other_seconds() const {
    const Parallelism one;
    const Recipe bf16;
    const Routing balanced;
    const TrainWorkload train;
    double sum = 0;
    for (const Op& op : layer_forward({model, one, bf16, balanced, 1, kTokens, train}, model.kinds[0])) {
      if (op.part != Part::moe && op.part != Part::moe_activation) sum += machine.seconds(op.work);
    }
    return sum;
  }

  double ms(ExpertsBackend backend, Compile compile) const {
    const BackendRow row = experts(backend, compile);
    const double host = compile == Compile::none ? kOther * operator_time().in(second) : 0;
    return 1e3 * kLayers * std::max(row.kernels.in(second) + other_seconds(), row.host.in(second) + host);
  }
};

void add_backends(std::vector<Anchor>& list) {
  const SmallStep step;
  const char* table = "experts backends, Qwen1.5-MoE-A2.7B, 16 tokens";
  const auto time = [&](const char* name, ExpertsBackend backend, Compile compile, double ms, bool input) {
    list.push_back({table, name, ms, step.ms(backend, compile), "ms", input, 0.20, kPull});
  };
  time("eager", ExpertsBackend::eager, Compile::none, 271.8, true);
  time("batched_mm", ExpertsBackend::batched_mm, Compile::none, 52.0, false);
  time("batched_mm, compiled", ExpertsBackend::batched_mm, Compile::standard, 53.0, false);
  time("batched_mm, compiled with max-autotune", ExpertsBackend::batched_mm, Compile::max_autotune, 23.87, false);
  time("grouped_mm", ExpertsBackend::grouped_mm, Compile::none, 64.3, true);
  const auto memory = [&](const char* name, Compile compile, double mib) {
    const double predicted = step.experts(ExpertsBackend::batched_mm, compile).temporary.in(mebibyte);
    list.push_back({table, name, mib, predicted, "MiB", false, 0.05, kPull});
  };
  memory("batched_mm, memory above eager's", Compile::none, 28382 - 27324);
  memory("batched_mm, compiled, memory above eager's", Compile::standard, 28029 - 27324);
}

TrainWorkload adapter_training(const Lora& lora) {
  TrainWorkload train;
  train.full_recompute = true;
  train.lora = lora;
  return train;
}

// Adapters on every projection of one device; 8-bit moments as those fine-tunes use are counted as bf16's.
Bytes adapted_memory(const std::string& model_name, const Lora& lora, std::int64_t sequence, bool recompute = true) {
  const ModelSpec model = catalogue_model(model_name);
  const Parallelism one;
  const Recipe bf16;
  const Routing balanced;
  TrainWorkload train = adapter_training(lora);
  train.sequence = sequence;
  train.full_recompute = recompute;
  train.mtp_layers = 0;
  train.optimizer = Optimizer::adam_bf16_states;
  StageContent whole{.embedding = true, .head = true};
  whole.layers_of_kind.assign(model.kinds.size(), 0);
  for (const int kind : model.layers) ++whole.layers_of_kind[static_cast<std::size_t>(kind)];
  return footprint({model, one, bf16, balanced, train}, whole).total();
}

// One layer of Qwen3-30B-A3B on one sequence, forward, recomputed and backward.
double adapted_seconds(const Lora& lora, const AnchorMachine& machine) {
  const ModelSpec model = catalogue_model("qwen3-30b-a3b");
  const Parallelism one;
  const Recipe bf16;
  const Routing balanced;
  const TrainWorkload train = adapter_training(lora);
  const DecoderContext context{model, one, bf16, balanced, 1, 2048, train};
  double sum = 0;
  for (const Step& step : {layer_forward(context, model.kinds[0]), layer_backward(context, model.kinds[0])}) {
    for (const Op& op : step) sum += machine.seconds(op.work);
  }
  return sum;
}

void add_adapters(std::vector<Anchor>& list) {
  const char* table = "LoRA fine-tuning, one device";
  const double bf16_gb = adapted_memory("qwen3-30b-a3b", {.ffn = false}, 2048).in(gigabyte);
  list.push_back({table, "Qwen3-30B-A3B, 16-bit, memory", 63, bf16_gb, "GB", false, 0.10, kUnsloth});
  const double four_bit_gb = adapted_memory("gpt-oss-20b", {.ffn = false, .base = DType::mxfp4}, 1024).in(gigabyte);
  list.push_back({table, "gpt-oss-20b, 4-bit, memory", 12.8, four_bit_gb, "GB", false, 0.10, kUnsloth});
  const Bytes rows = adapted_memory("qwen3-30b-a3b", {.adapters = Adapters::split}, 2048, false);
  const Bytes weights = adapted_memory("qwen3-30b-a3b", {.adapters = Adapters::merged}, 2048, false);
  list.push_back({table, "Qwen3-30B-A3B, memory of split over merged, nothing recomputed", 0.65, rows / weights, "x", false, 0.20, kUnsloth});
  // "About twice as fast as merged"; machine and lengths not named, taken as H100 and 2,048 tokens.
  const AnchorMachine h100("h100-sxm");
  const double split = adapted_seconds({.adapters = Adapters::split}, h100), merged = adapted_seconds({.adapters = Adapters::merged}, h100);
  list.push_back({table, "Qwen3-30B-A3B, split over merged", 2, merged / split, "x", false, 0.20, kUnsloth});
}

// With the steps that the reproduction measured (draft 2.54 ms, tree 2.83 ms, hand-over 0.71 ms, verification 11.45 ms),
// and the acceptance and the largest hit rate that readers of the paper quote: 0.735 and 0.9.
void add_sweep(std::vector<Anchor>& list) {
  constexpr double kVerify = 11.45, kStep = 2.54, kTree = 2.83, kHandOver = 0.71;  // ms
  constexpr std::array<double, 4> kMeasured{210.9, 193.6, 175.3, 158.6};
  for (std::int64_t drafted = 4; drafted <= 7; ++drafted) {
    const double tokens = tokens_per_round({{0.735}}, drafted), draft = static_cast<double>(drafted) * kStep;
    const OverlappedRound round{.hit = 0.9, .tokens_hit = tokens, .tokens_miss = tokens,
                                .ahead = (draft + kTree + kHandOver) / kVerify, .backup = (draft + kHandOver) / kVerify};
    list.push_back({"speculation beside verification, by draft tokens", fmt::format("K = {}", drafted),
                    kMeasured[static_cast<std::size_t>(drafted - 4)], 1e3 * tokens_per_verification(round) / kVerify, "tok/s",
                    false, 0.06, kReproduction});
  }
}

// The acceptance at which drafting 6 tokens in turn makes `speedup`.
double acceptance_of(double speedup, double draft) {
  double low = 0, high = 1;
  for (int i = 0; i < 60; ++i) {
    const double middle = (low + high) / 2;
    (sequential_speedup(tokens_per_round({{middle}}, 6), 6, draft) < speedup ? low : high) = middle;
  }
  return low;
}

// One hit rate per pair; each data set's acceptance is that at which drafting in turn runs as fast as measured.
void add_pairs(std::vector<Anchor>& list) {
  struct Pair {
    const char* name;
    double plain, draft_ms, hit;
    std::array<double, 5> in_turn, beside;
  };
  constexpr std::array<const char*, 5> kSets{"HumanEval", "UltraFeedback", "Alpaca", "GSM8k", "average"};
  // Steps of the drafts: 2.54 ms as reproduced for 28 layers of 0.6B, and 2.1 ms for 16 layers of 1B at the same cost of a
  // layer and 2.7 TB/s.
  const std::array pairs{Pair{"Llama-3.1-70B / 1B", 54.7, 2.1, 0.80, {176, 138, 145, 188, 161.8}, {283, 215, 224, 301, 255.8}},
                         Pair{"Qwen3-32B / 0.6B", 88.8, 2.54, 0.93, {146, 122, 127, 152, 136.8}, {222, 174, 185, 234, 203.8}}};
  for (const Pair& pair : pairs) {
    const double draft = pair.draft_ms * pair.plain / 1e3;
    for (std::size_t i = 0; i < kSets.size(); ++i) {
      const double tokens = tokens_per_round({{acceptance_of(pair.in_turn[i] / pair.plain, draft)}}, 7);
      const double speed = tokens_per_verification({.hit = pair.hit, .tokens_hit = tokens, .tokens_miss = tokens,
                                                    .ahead = 7 * draft, .backup = 7 * draft});
      list.push_back({"speculation beside verification, by pair", fmt::format("{}, {}", pair.name, kSets[i]), pair.beside[i],
                      pair.plain * speed, "tok/s", i == 4, 0.08, kSsd});
    }
  }
}

}  // namespace

void add_inference_anchors(std::vector<Anchor>& list) {
  add_loads(list);
  add_backends(list);
  add_adapters(list);
  add_sweep(list);
  add_pairs(list);
}

}  // namespace moeline
