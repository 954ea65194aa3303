#include "fit/unfitted_data.hpp"

#include <map>

#include "error.hpp"

namespace moeline {
namespace {

struct Known {
  std::vector<std::string_view> columns;
  std::string_view device, operation, library, dtype;  // columns that name the family; operation: its name if no column
  std::string_view reason;                             // empty: no measurements
};

const std::vector<Known>& known_files() {
  static const std::vector<Known> list{
      {{"accelerator", "dtype", "m", "n", "k", "tflops_mean", "efficiency_pct"},
       "accelerator",
       "gemm",
       "torch_version",
       "dtype",
       "best shape of a search: the ceiling of a rate, one shape a device"},
      {{"gpu", "kernel", "dtype", "condition", "value", "unit"},
       "gpu",
       "attention",
       "kernel",
       "dtype",
       "a peak without its shape"},
      {{"gpu", "domain", "op", "peak_gbps", "efficiency", "fixed_latency_us"},
       "gpu",
       "domain",
       "op",
       "",
       "parameters that others fitted, not times"},
      {{"model", "type", "layers", "hidden", "moe_ffn", "num_experts", "topk", "vocab"}, "", "", "", "", ""}};
  return list;
}

const Known* known(const Csv& csv) {
  for (const Known& file : known_files()) {
    if (csv.has_all(file.columns)) return &file;
  }
  return nullptr;
}

std::string named(const Csv& csv, std::size_t row, std::string_view column) {
  if (column.empty()) return "all";
  return std::string(csv.has(column) ? csv.text(row, column) : column);
}

}  // namespace

bool is_unfitted_csv(const Csv& csv) { return known(csv) != nullptr; }

std::vector<FamilyData> unfitted_families(const Csv& csv) {
  const Known& file = *known(csv);
  if (file.reason.empty())
    throw SpecError(csv.origin(), "holds shapes of models, not measurements; `moeline list models` shows those known");
  std::map<FamilyKey, FamilyData> families;
  for (std::size_t i = 0; i < csv.rows(); ++i) {
    const FamilyKey key{named(csv, i, file.device), named(csv, i, file.operation), named(csv, i, file.library),
                        named(csv, i, file.dtype)};
    families[key].key = key;
    ++families[key].skipped[std::string(file.reason)];
  }
  std::vector<FamilyData> list;
  for (auto& [key, data] : families) list.push_back(std::move(data));
  return list;
}

}  // namespace moeline
