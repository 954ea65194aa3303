#include "fit/measurement.hpp"

#include <cmath>
#include <span>
#include <type_traits>

#include "error.hpp"
#include "fit/attention_data.hpp"
#include "fit/deepep_data.hpp"
#include "fit/deepep_published_data.hpp"
#include "fit/framework_all_reduce_data.hpp"
#include "fit/deepgemm_data.hpp"
#include "fit/device_names.hpp"
#include "fit/gemm_data.hpp"
#include "fit/infersim_attention_data.hpp"
#include "fit/layer_data.hpp"
#include "fit/mnnvl_data.hpp"
#include "fit/moe_data.hpp"
#include "fit/nccl_data.hpp"
#include "fit/published_collectives_data.hpp"
#include "fit/records.hpp"
#include "fit/step_data.hpp"
#include "fit/training_gemm_data.hpp"
#include "fit/unfitted_data.hpp"

namespace moeline {

namespace {

// A schema is known by its header. Those whose `gpu` column names a profile lose the rows of devices nobody knows.
struct Schema {
  bool (*recognises)(const Csv&);
  std::vector<FamilyData> (*read)(const Csv&);
  bool profiled = false;
};

std::vector<FamilyData> training_families(const Csv& csv) {
  std::vector<FamilyData> families = training_attention_families(csv);
  for (FamilyData& family : training_gemm_families(csv)) families.push_back(std::move(family));
  return families;
}

constexpr Schema kSchemas[]{{is_gemm_csv, gemm_families, true},
                            {is_attention_csv, attention_families, true},
                            {is_moe_op_csv, moe_op_families, true},
                            {is_nccl_csv, nccl_families, true},
                            {is_framework_all_reduce_csv, framework_all_reduce_families, true},
                            {is_deepep_normal_csv, deepep_normal_families, true},
                            {is_deepep_low_latency_csv, deepep_low_latency_families, true},
                            {is_mnnvl_csv, mnnvl_families, true},
                            {is_training_attention_csv, training_families},
                            {is_infersim_gemm_csv, infersim_gemm_families},
                            {is_infersim_grouped_csv, infersim_grouped_families},
                            {is_infersim_attention_csv, infersim_attention_families},
                            {is_deepgemm_csv, deepgemm_families},
                            {is_llmcompass_csv, llmcompass_families},
                            {is_vidur_layer_csv, vidur_layer_families},
                            {is_published_collectives_csv, published_collective_families},
                            {is_deepep_published_csv, deepep_published_families},
                            {is_unfitted_csv, unfitted_families},
                            {is_step_csv, step_families}};

// One empty family a device, which counts its rows.
std::vector<FamilyData> take_unknown_devices(Csv& csv) {
  std::map<std::string, std::size_t> unknown;
  csv.keep([&](std::size_t row) {
    const std::string device = device_name(csv.text(row, "gpu"));
    if (has_profile(device)) return true;
    ++unknown[device];
    return false;
  });
  std::vector<FamilyData> families;
  for (const auto& [device, rows] : unknown) {
    families.push_back({.key = {device, "unknown", "-", "-"}, .skipped = {{"no hardware profile of this device", rows}}});
  }
  return families;
}

// Sizes beyond any machine have no finite time, and one such row would spoil a fit. Rows that stay keep their order.
void drop_rows_without_a_time(FamilyData& data) {
  std::vector<double> start;
  for (const Parameter& parameter : data.parameters) start.push_back(parameter.start);
  std::vector<std::size_t> kept;
  const std::size_t count = data.observations.measured.size();
  for (std::size_t row = 0; row < count; ++row) {
    if (std::isfinite(data.observations.predicted(start, row))) kept.push_back(row);
  }
  if (kept.size() == count) return;
  data.skipped["no finite prediction for these sizes"] += count - kept.size();
  const auto keep = [&](auto& column) {
    if (column.size() != count) return;  // a column that the family leaves empty
    std::remove_reference_t<decltype(column)> left;
    for (const std::size_t row : kept) left.push_back(std::move(column[row]));
    column = std::move(left);
  };
  keep(data.observations.measured);
  keep(data.observations.weight);
  keep(data.group);
  keep(data.size);
  keep(data.coordinates);
  for (Predictor* predictor : {&data.observations.predicted, &data.in_step}) {
    if (!*predictor) continue;
    *predictor = [inner = *predictor, kept](std::span<const double> values, std::size_t row) { return inner(values, kept[row]); };
  }
}

}  // namespace

std::vector<FamilyData> read_families(const std::string& path) {
  if (path.ends_with(".jsonl")) return record_families(read_file(path), path);
  Csv csv = Csv::read(path);
  for (const Schema& schema : kSchemas) {
    if (!schema.recognises(csv)) continue;
    if (csv.rows() == 0) throw SpecError(path, "has a header and no rows");
    std::vector<FamilyData> families;
    if (schema.profiled) families = take_unknown_devices(csv);
    for (FamilyData& family : schema.read(csv)) {
      drop_rows_without_a_time(family);
      families.push_back(std::move(family));
    }
    return families;
  }
  throw SpecError(path, "the header matches no known measurement file; see docs/guide/measurements.md");
}

}  // namespace moeline
