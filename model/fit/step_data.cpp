#include "fit/step_data.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>

#include "spec/json.hpp"

namespace moeline {
namespace {

using Read = std::variant<MeasuredStep, std::string> (*)(const Csv& csv, std::size_t row);

// "64 (0)": the figure before its alternative.
std::int64_t whole(const Csv& csv, std::size_t row, std::string_view column, std::int64_t missing = 1) {
  const std::string_view text = csv.text(row, column);
  std::int64_t value = missing;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

using Names = std::vector<std::pair<std::string_view, std::string_view>>;

std::string_view known(std::string_view text, const Names& names) {
  for (const auto& [part, name] : names) {
    if (text.find(part) != std::string_view::npos) return name;
  }
  return "";
}

std::string line(std::size_t row) { return fmt::format("line {}", row + 2); }

// Megatron's GPT of that shape: ungated, dropout 0.1.
Json gpt(std::int64_t hidden, std::int64_t layers, std::int64_t heads, std::int64_t sequence, std::int64_t vocabulary) {
  return {{"model_type", "gpt2"}, {"n_embd", hidden},        {"n_layer", layers},       {"n_head", heads},
          {"n_positions", sequence}, {"vocab_size", vocabulary}, {"torch_dtype", "float16"}};
}

// Megatron-LM before 2023: attention from single kernels, biases in passes of their own, a loss over the cut vocabulary in fp32 passes,
// gradients reduced after the last backward, optimiser states on every rank, no CUDA graphs; fp16, so that the loss is scaled.
Json early_megatron(std::int64_t sequence, std::int64_t micro_batch, std::int64_t global_batch, bool sequence_parallel,
                    std::string_view recompute) {
  return {{"kind", "train"}, {"sequence", sequence}, {"micro_batch", micro_batch}, {"global_batch", global_batch},
          {"overlap", Json::array()}, {"attention", "unfused"}, {"cuda_graph", false},
          {"sequence_parallel", sequence_parallel}, {"recompute", recompute},
          {"extra_passes", {"biases", "vocabulary_loss", "loss_scaling"}}};
}

std::variant<MeasuredStep, std::string> korthikanti(const Csv& csv, std::size_t row) {
  const auto n = [&](std::string_view column) { return whole(csv, row, column); };
  const bool full = csv.text(row, "recompute") == "full";
  const Json scenario{
      {"model", gpt(n("hidden"), n("layers"), n("heads"), n("seq_len"), n("vocab"))},
      {"hardware", "a100-sxm"}, {"devices", n("gpus")}, {"recipe", "bf16"},
      {"parallelism", {{"tp", n("tp")}, {"pp", n("pp")}, {"vpp", n("virtual_pp")}, {"zero", 0}}},
      {"workload", early_megatron(n("seq_len"), n("micro_batch"), n("global_batch"), n("sequence_parallel") == 1,
                                  full ? "full" : "selective")}};
  return MeasuredStep{{"a100-sxm", "training_step", "megatron", "fp16"},
                      fmt::format("{}: {}, {}", line(row), csv.text(row, "model"), csv.text(row, "recompute")), scenario,
                      csv.number(row, "iteration_s").value_or(0) * second, {}};
}

// Recomputation and vocabulary are not in the file. Its configurations have 50,257 tokens, which Megatron pads to a multiple of 128 a
// rank (make-vocab-size-divisible-by); full recomputation is inferred: without it the times would imply products at 55 % of peak, with it 78 %. Nodes have 800 Gbit/s among eight devices (its
// configurations, inter_node_bandwidth).
std::variant<MeasuredStep, std::string> vtrain(const Csv& csv, std::size_t row) {
  const auto n = [&](std::string_view column) { return whole(csv, row, column); };
  const std::int64_t together = 128 * n("tp"), vocabulary = (50257 + together - 1) / together * together;
  const Json scenario{
      {"model", gpt(n("hidden"), n("layers"), n("heads"), n("seq_len"), vocabulary)},
      {"hardware", {{"base", "a100-sxm"}, {"fabric", {Json::object(), {{"bandwidth", "12.5 GB/s"}}}}}}, {"devices", n("gpus")}, {"recipe", "bf16"},
      {"parallelism", {{"tp", n("tp")}, {"pp", n("pp")}, {"zero", 0}}},
      {"workload", early_megatron(n("seq_len"), n("micro_batch"), n("global_batch"), false, "full")}};
  return MeasuredStep{{"a100-sxm", "training_step", "vtrain " + std::string(csv.text(row, "set")), "fp16"},
                      fmt::format("{}: hidden {}, {} layers, tp {} dp {} pp {}, micro-batch {} of {}", line(row), n("hidden"),
                                  n("layers"), n("tp"), n("dp"), n("pp"), n("micro_batch"), n("global_batch")),
                      scenario, csv.number(row, "iteration_ms").value_or(0) * millisecond, {}};
}

// One node of B200 that sustains half of the peak (its kernels are the pages of library "te").
std::variant<MeasuredStep, std::string> simumax(const Csv& csv, std::size_t row) {
  const auto n = [&](std::string_view column) { return whole(csv, row, column); };
  const bool large = csv.text(row, "model") == "llama3-405b";
  Json model{{"base", large ? "llama-3.1-405b" : "llama-3.1-70b"}, {"num_hidden_layers", n("layers")}};
  if (large) model["num_key_value_heads"] = 16;  // as the runs had
  const Json scenario{{"model", model}, {"hardware", "b200-sxm"}, {"devices", n("gpus")}, {"recipe", "bf16"},
                      {"calibration", "b200-sxm:te"},
                      {"parallelism", {{"tp", n("tp")}, {"cp", n("cp")}, {"pp", n("pp")}, {"zero", 1}}},
                      {"workload", {{"kind", "train"}, {"sequence", n("seq_len")}, {"micro_batch", n("mbs")},
                                    {"global_batch", n("num_microbatches") * n("dp") * n("mbs")}, {"overlap", Json::array()},
                                    {"cuda_graph", false}}}};
  MeasuredStep step{{"b200-sxm", "training_step", "megatron (simumax)", "bf16"},
                    fmt::format("{}: {}", line(row), csv.text(row, "case")), scenario,
                    csv.number(row, "measured_ms").value_or(0) * millisecond, {}};
  if (const auto gib = csv.number(row, "measured_peak_alloc_gib")) step.memory = *gib * gibibyte;
  return step;
}

// What the recipes of Megatron-Bridge (scripts/performance/configs/llama) set beside the columns. Its FP8 is scaled per tensor by
// the values at hand (the file's rows of 25.11 say FP8-CS).
void add_recipe_switches(Json& scenario, std::string_view system, bool small, bool fsdp) {
  Json& workload = scenario["workload"];
  if (fsdp && system == "gb300-nvl72") workload["offload_layers"] = 20;
  if (fsdp && system == "gb200-nvl72") workload["offload_layers"] = 40;
  if (small && system == "h100-sxm") {
    workload["recompute"] = "full";
    workload["recompute_method"] = "block";
    workload["recompute_layers"] = 5;
  }
}

std::variant<MeasuredStep, std::string> bridge(const Csv& csv, std::size_t row) {
  const auto n = [&](std::string_view column) { return whole(csv, row, column); };
  if (csv.text(row, "phase") != "Pre-Training") return "fine-tuning: packed sequences whose lengths are not given";
  const std::string_view model = known(csv.text(row, "model"), {{"405B", "llama-3.1-405b"}, {"70B", "llama-3.1-70b"}, {"8B", "llama-3.1-8b"}});
  const std::string_view system = known(csv.text(row, "system"), {{"GB300", "gb300-nvl72"}, {"GB200", "gb200-nvl72"}, {"B300", "b300-sxm"},
                                                                  {"B200", "b200-sxm"}, {"H100", "h100-sxm"}});
  const std::string_view recipe = known(csv.text(row, "precision").substr(0, 6),
                                        {{"MXFP8", "mxfp8"}, {"NVFP4", "nvfp4"}, {"FP8", "fp8_tensor_current"}, {"BF16", "bf16"}});
  if (model.empty() || system.empty() || recipe.empty()) return "a model, system or precision that is not known here";
  const std::int64_t pp = n("pp");
  const bool fsdp = whole(csv, row, "fsdp", 0) > 1;
  const bool pipelined = csv.number(row, "vp").has_value() || pp == 1;
  if (model == "llama-3.1-70b" && !fsdp && (!pipelined || pp * n("tp") == 1)) return "columns of two layouts mixed: no sharding, or a pipeline without chunks";
  Json scenario{{"model", model}, {"hardware", system}, {"devices", n("gpus")}, {"recipe", recipe},
                {"parallelism", {{"tp", n("tp")}, {"cp", n("cp")}, {"pp", pp}, {"vpp", pp > 1 ? n("vp") : 1}, {"zero", fsdp ? 3 : 1}}},
                {"workload", {{"kind", "train"}, {"sequence", n("seq_len")}, {"micro_batch", n("mbs")}, {"global_batch", n("gbs")},
                              {"gradient_dtype", "bf16"}, {"optimizer", "adam_bf16_states"}}}};
  add_recipe_switches(scenario, system, model == "llama-3.1-8b", fsdp);
  return MeasuredStep{{std::string(system), "training_step", "megatron-bridge", std::string(recipe)},
                      fmt::format("{}: {} {}, tp {} pp {} cp {} vp {} fsdp {}", line(row), csv.text(row, "release"), model, n("tp"), pp,
                                  n("cp"), n("vp"), fsdp ? 1 : 0),
                      scenario, csv.number(row, "step_time_s_derived").value_or(0) * second, {}};
}

// Adam in fp32 and weights in fp32, sharded; gathered in bf16, reduced in fp32. A pipeline runs pp micro-batches. Its memory is
// what the allocator reserved, not what it handed out, and left out. Attention is PyTorch's, which has FlashAttention 2;
// TorchAO scales FP8 by the values at hand, every operand by its own pass when it is needed. Its FSDP copies, and q, k, v and gate, up are
// products of their own; torch_compile is of layers, and of the loss since 2025 only.
std::variant<MeasuredStep, std::string> torchtitan(const Csv& csv, std::size_t row) {
  const auto n = [&](std::string_view column) { return whole(csv, row, column); };
  const std::string_view precision = csv.text(row, "linear_precision");
  if (precision.find("rowwise") != std::string_view::npos) return "row-wise FP8 scales: no page of such products";
  const bool older = csv.text(row, "gpu").starts_with("H100");
  Json hardware = "h200-sxm";
  if (older) {
    hardware = {{"base", "h100-sxm"},
                {"device", {{"hbm_capacity", "96 GB"}, {"hbm_bandwidth", "2.4 TB/s"}, {"power_cap", "500 W"}}}};
  }
  const std::string model(known(csv.text(row, "model"), {{"405b", "llama-3.1-405b"}, {"70b", "llama-3.1-70b"}, {"8b", "llama-3.1-8b"}}));
  if (model.empty()) return "a model that is not known here";
  const std::int64_t pp = n("pp"), ranks = n("fsdp");
  const bool interleaved = csv.text(row, "pp_schedule") == "interleaved_1F1B";
  Json overlap{"dp_reduce", "param_gather"};
  if (n("async_tp") == 1) overlap.push_back("tp");
  Json extra_passes{"projections", "fsdp_copies"};
  if (csv.text(row, "source").find("202412") != std::string_view::npos) extra_passes.push_back(n("tp") > 1 ? "vocabulary_loss" : "log_softmax");
  Json recipe = "bf16";
  if (precision != "bf16") {
    recipe = {{"base", "fp8_tensor_current"}, {"name", "fp8_tensor_current, torchao"}, {"kernels", "torchao"}, {"both_ways", false}};
  }
  const Json scenario{
      {"model", model}, {"hardware", hardware}, {"devices", n("gpus")},
      {"recipe", recipe},
      {"parallelism", {{"tp", n("tp")}, {"cp", n("cp")}, {"pp", pp}, {"vpp", interleaved ? 2 : 1}, {"zero", 3}}},
      {"workload", {{"kind", "train"}, {"sequence", n("seq_len")}, {"micro_batch", std::max<std::int64_t>(1, n("local_batch") / pp)},
                    {"global_batch", n("local_batch") * ranks}, {"overlap", overlap}, {"cuda_graph", false},
                    {"attention", "flash2"}, {"extra_passes", extra_passes}, {"fused_passes", whole(csv, row, "torch_compile", 0) == 1},
                    {"recompute", csv.text(row, "activation_checkpoint") == "full" ? "full" : "per_op"}}}};
  const double tokens = static_cast<double>(n("local_batch") * ranks * n("seq_len"));
  const double rate = csv.number(row, "tokens_per_s_per_gpu").value_or(0) * static_cast<double>(n("gpus"));
  return MeasuredStep{{older ? "h100-96gb-hbm2e" : "h200-sxm", "training_step", "torchtitan", precision == "bf16" ? "bf16" : "fp8_tensor_current"},
                    fmt::format("{}: {} on {}, sequence {}, tp {} pp {} cp {}", line(row), model, n("gpus"), n("seq_len"),
                                n("tp"), pp, n("cp")),
                    scenario, (rate > 0 ? tokens / rate : 0) * second, {}};
}

struct Schema {
  std::string_view library;
  std::vector<std::string_view> columns;
  Read read;
};
const std::vector<Schema>& schemas() {
  static const std::vector<Schema> list{
      {"megatron",
       {"gpu", "gpus", "tp", "pp", "dp", "global_batch", "micro_batch", "seq_len", "recompute", "iteration_s"}, korthikanti},
      {"megatron", {"set", "gpu", "gpus", "global_batch", "micro_batch", "layers", "tp", "dp", "pp", "iteration_ms"}, vtrain},
      {"megatron-bridge", {"release", "system", "gpus", "precision", "gbs", "mbs", "tokens_per_s_per_gpu"}, bridge},
      {"torchtitan", {"model", "gpu", "gpus", "fsdp", "activation_checkpoint", "tokens_per_s_per_gpu"}, torchtitan},
      {"megatron", {"case", "gpu", "gpus", "layers", "mbs", "num_microbatches", "measured_ms"}, simumax}};
  return list;
}

const Schema* schema_of(const Csv& csv) {
  for (const Schema& schema : schemas()) {
    if (csv.has_all(schema.columns)) return &schema;
  }
  return nullptr;
}

}  // namespace

bool is_step_csv(const Csv& csv) { return schema_of(csv) != nullptr; }

std::variant<MeasuredStep, std::string> measured_step(const Csv& csv, std::size_t row) {
  auto step = schema_of(csv)->read(csv, row);
  if (MeasuredStep* read = std::get_if<MeasuredStep>(&step); read != nullptr && !(read->time > Seconds{})) return "no time";
  return step;
}

std::vector<FamilyData> step_families(const Csv& csv) {
  const Schema* schema = schema_of(csv);
  const std::string_view device = csv.has("gpu") ? "gpu" : "system";
  std::map<FamilyKey, std::size_t> rows;
  for (std::size_t i = 0; i < csv.rows(); ++i) {
    ++rows[{std::string(csv.text(i, device)), "training_step", std::string(schema->library), "all"}];
  }
  std::vector<FamilyData> list;
  for (const auto& [key, count] : rows) {
    FamilyData data{.key = key, .domain = "whole steps", .check_only = true};
    data.skipped["whole training step: compared, never fitted"] = count;
    list.push_back(std::move(data));
  }
  return list;
}

}  // namespace moeline
