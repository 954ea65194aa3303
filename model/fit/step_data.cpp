#include "fit/step_data.hpp"

namespace moeline {
namespace {

struct Schema {
  std::string_view library;
  std::vector<std::string_view> columns;
};
const std::vector<Schema>& schemas() {
  static const std::vector<Schema> list{
      {"megatron",
       {"gpu", "gpus", "tp", "pp", "dp", "global_batch", "micro_batch", "seq_len", "recompute", "iteration_s"}},
      {"megatron", {"set", "gpu", "gpus", "global_batch", "micro_batch", "layers", "tp", "dp", "pp", "iteration_ms"}},
      {"megatron-bridge", {"release", "system", "gpus", "precision", "gbs", "mbs", "tokens_per_s_per_gpu"}},
      {"torchtitan", {"model", "gpu", "gpus", "fsdp", "activation_checkpoint", "tokens_per_s_per_gpu"}},
      {"megatron", {"case", "gpu", "gpus", "layers", "mbs", "num_microbatches", "measured_ms"}}};
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
    data.skipped["whole training step: compared by the anchors of published steps"] = count;
    list.push_back(std::move(data));
  }
  return list;
}

}  // namespace moeline
