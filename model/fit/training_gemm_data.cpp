#include "fit/training_gemm_data.hpp"

#include <cmath>
#include <memory>

#include "fit/gemm_data.hpp"
#include "gpu/gemm.hpp"

namespace moeline {
namespace {

enum At : std::size_t { launch, tensor, memory, load, k_step, epilogue, leak, throttle, expert = throttle };

std::vector<Parameter> parameters(bool grouped) {
  std::vector<Parameter> list{{"launch", "us", 10, 0.5, 200},       {"tensor", "of peak", 0.6, 0.2, 1.05},
                              {"memory", "of HBM", 0.8, 0.2, 1.0},  {"load", "GB/s per SM", 150, 20, 600},
                              {"k_step", "ns per 128 B", 80, 10, 500}, {"epilogue", "GB/s per SM", 90, 5, 4000},
                              {"leak", "of the smaller bound", 0.3, 0.01, 1.0}};
  list.push_back(grouped ? Parameter{"expert", "us per expert", 2, 0.01, 50} : Parameter{"throttle", "of tensor", 0.1, 0.001, 0.6});
  return list;
}

struct Row {
  double groups, m, n, k;
  bool wgrad;
  DType output = DType::bf16;
};

struct Family {
  Gpu gpu;
  bool grouped;
  std::vector<Row> rows;
  DType format = DType::bf16;
};

// How often a product is repeated is not published. A hundred times puts the law of other collectors' loops (fit/gemm_data) where
// the B200's rate falls from 1,450 to 1,100 TFLOP/s: between products of 0.05 and of 1.5 ms.
constexpr double kRepetitions = 100;

// As ops lays them out: fprop and dgrad have tokens as rows, wgrad has them as the reduction.
double predicted_us(const Family& f, std::span<const double> values, std::size_t index, bool in_step) {
  const Row& r = f.rows[index];
  if (f.grouped) {
    const GemmFit fit = grouped_training_gemm_fit({values.begin(), values.end()});
    return gemm_terms(GroupedGemm{r.groups, r.m, r.n, r.k, f.format, r.output, r.wgrad}, f.gpu, fit).time.in(microsecond);
  }
  const double loop = kRepetitions * 2 * r.m * r.n * r.k / f.gpu.dense_peak.of(f.format)->value.in(flop_per_second);
  const GemmConditions conditions{.sustained = in_step ? 1 : sustained_in(loop)};
  const GemmFit fit = training_gemm_fit({values.begin(), values.end()});
  return gemm_terms(Gemm{r.m, r.n, r.k, f.format, r.output, r.wgrad}, f.gpu, fit, conditions).time.in(microsecond);
}

// The device a row is filed under, and the profile whose facts price it.
std::pair<std::string, std::string> device_of(std::string_view gpu) {
  return gpu.find("B200") != std::string_view::npos ? std::pair{"b200-sxm", "b200-sxm"} : std::pair{"a100-pcie", "a100-sxm"};
}

Row row_of(const Csv& csv, std::size_t i, bool grouped, double m, double n, double k) {
  const std::string_view stage = csv.text(i, "stage");
  const bool wgrad = stage == "bwd_grad_w" || csv.text(i, "accumulate") == "True";
  const double groups = grouped ? csv.number(i, "groups").value_or(1) : 1;
  // Gradients are added to in bf16 or in fp32; of grouped products only the key says which.
  const bool fp32 = grouped ? csv.text(i, "key").find("main_grad_dtype=fp32") != std::string_view::npos : csv.text(i, "out_dtype") == "fp32";
  const DType output = wgrad && fp32 ? DType::fp32 : DType::bf16;
  if (!grouped) return {1, m, n, k, wgrad, output};
  // The file gives the forward shape for all three stages.
  if (wgrad) return {groups, n, k, m, true, output};
  if (stage == "bwd_grad_act") return {groups, m, k, n, false};
  return {groups, m, n, k, false};
}

GemmFit product_fit(const std::vector<double>& v) {
  GemmFit fit;
  fit.launch = v[At::launch] * microsecond;
  fit.tensor = v[At::tensor];
  fit.memory = v[At::memory];
  fit.load = 1 * second / (v[At::load] * gigabyte);
  fit.k_step = v[At::k_step] * nanosecond;
  fit.epilogue = 1 * second / (v[At::epilogue] * gigabyte);
  fit.leak = v[At::leak];
  fit.source = Source::fitted;
  return fit;
}

}  // namespace

GemmFit training_gemm_fit(const std::vector<double>& v) {
  GemmFit fit = product_fit(v);
  fit.throttle = v[At::throttle];
  return fit;
}

GemmFit grouped_training_gemm_fit(const std::vector<double>& v) {
  GemmFit fit = product_fit(v);
  fit.expert = v[At::expert] * microsecond;
  return fit;
}

FamilyData grouped_gemm_family(const FamilyKey& key, const Gpu& gpu, DType format, const std::vector<GroupedGemmRow>& rows) {
  const auto family = std::make_shared<Family>(Family{gpu, true, {}, format});
  FamilyData data{.key = key, .parameters = parameters(true), .domain = "rows of one expert, forward"};
  std::map<std::pair<double, double>, int> groups;
  for (const GroupedGemmRow& row : rows) {
    family->rows.push_back({row.groups, row.m, row.n, row.k, false});
    data.observations.measured.push_back(row.measured.in(microsecond));
    data.group.push_back(groups.try_emplace({row.n, row.k}, static_cast<int>(groups.size())).first->second);
    data.size.push_back(row.m);
  }
  data.observations.predicted = [family](std::span<const double> v, std::size_t i) { return predicted_us(*family, v, i, true); };
  return data;
}

std::vector<FamilyData> training_gemm_families(const Csv& csv) {
  std::map<FamilyKey, std::pair<std::shared_ptr<Family>, FamilyData>> families;
  std::map<FamilyKey, std::map<std::pair<double, double>, int>> groups;
  for (std::size_t i = 0; i < csv.rows(); ++i) {
    const bool grouped = csv.text(i, "op") == "group_matmul";
    if (!grouped && csv.text(i, "op") != "matmul") continue;
    const auto [device, profile] = device_of(csv.text(i, "gpu"));
    const FamilyKey key{device, grouped ? "grouped_gemm" : "training_gemm", "te", "bf16"};
    auto& [family, data] = families[key];
    if (!family) {
      family = std::make_shared<Family>(Family{gpu_named(profile), grouped, {}, DType::bf16});
      data.key = key;
      data.parameters = parameters(grouped);
      data.domain = grouped ? "rows of one expert, forward, dgrad and wgrad" : "forward, dgrad and wgrad";
    }
    const auto m = csv.number(i, "m"), n = csv.number(i, "n"), k = csv.number(i, "k"), t = csv.number(i, "latency_us");
    if (!m || !n || !k || !t || !(*t > 0)) {
      ++data.skipped["missing value"];
      continue;
    }
    family->rows.push_back(row_of(csv, i, grouped, *m, *n, *k));
    data.observations.measured.push_back(*t);
    data.size.push_back(*m);  // tokens, of one expert if grouped
    auto& seen = groups[key];
    data.group.push_back(seen.try_emplace({*n, *k}, static_cast<int>(seen.size())).first->second);
  }
  std::vector<FamilyData> list;
  for (auto& [key, entry] : families) {
    auto& [family, data] = entry;
    if (family->rows.size() < 30) continue;  // too few to hold any out
    data.observations.predicted = [rows = family](std::span<const double> v, std::size_t i) { return predicted_us(*rows, v, i, false); };
    if (!family->grouped) data.in_step = [rows = family](std::span<const double> v, std::size_t i) { return predicted_us(*rows, v, i, true); };
    list.push_back(std::move(data));
  }
  return list;
}

}  // namespace moeline
