#include "fit/gemm_data.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <set>

#include "fit/device_names.hpp"
#include "gpu/gemm.hpp"
#include "spec/catalogue.hpp"
#include "spec/cluster.hpp"

namespace moeline {
namespace {

enum At : std::size_t {
  launch,
  tensor,
  throttle,
  memory,
  load,
  k_step,
  epilogue,
  split,
  leak,
  resident,
  element,
  extra
};

// What runs beside the product and takes time: parameters after the quantiser's time per element.
//   rows:    quantisers with a scale per row take time per row, those with one scale per tensor do not
//   scales:  on Blackwell block scales of the weight are packed four to a word in front of every product, where k is a
//            multiple of 512: time per column, none otherwise (B200 sglang; 49 against 19 us at m = 1, n = 65536)
//   single:  vLLM's product of one row is another kernel (B200: 21 us where 16 rows take 6)
struct Beside {
  bool rows = false, scales = false, single = false;
};
Beside beside(const FamilyKey& key) {
  const bool blackwell = is_blackwell(key.device);
  return {.rows = key.dtype != "bfloat16" && !(key.dtype == "fp8" && key.library == "trtllm"),
          .scales = blackwell && key.dtype == "fp8_block",
          .single = blackwell && key.dtype == "fp8" && key.library == "vllm"};
}

std::vector<Parameter> parameters(const FamilyKey& key) {
  std::vector<Parameter> list{{"launch", "us", 3, 0.5, 60},
                              {"tensor", "of peak", 0.8, 0.3, 1.05},
                              {"throttle", "of tensor", 0.12, 0.01, 0.4, 2},  // a board's: long loops alone show it
                              {"memory", "of HBM", 0.85, 0.3, 1.0},
                              {"load", "GB/s per SM", 120, 5, 600},
                              {"k_step", "ns per 128 B", 100, 1, 2000},
                              {"epilogue", "GB/s per SM", 90, 5, 4000},
                              {"split", "us", 2.5, 0.05, 20},
                              {"leak", "of the smaller bound", 0.25, 0.001, 1.0},
                              {"resident", "of L2", 0.6, 0.05, 1.5}};
  // Left out of the vector rather than pinned where there is none: a pinned parameter wrecks the trust region.
  if (key.dtype != "bfloat16") list.push_back({"quantise_element", "ps per element and SM", 60, 0.1, 5000});
  const Beside extras = beside(key);
  if (extras.rows) list.push_back({"quantise_row", "ns per row and SM", 50, 0.01, 3000});
  if (extras.scales) list.push_back({"weight_scales", "ns per column", 0.3, 0.01, 5});
  if (extras.single) list.push_back({"single_row", "us", 3, 0.05, 60});
  return list;
}

// The correction: knots as far apart as the doubling of shapes lets unseen ones profit.
Surface correction() {
  return {.axes = {"m", "n", "k"}, .knots = {{0, 3, 6, 9, 12, 15}, {7, 10, 13, 16}, {7, 10, 13, 16}}, .values = {}};
}

DType dtype_of(const std::string& name) {
  return name == "bfloat16"    ? DType::bf16
         : name == "nvfp4"     ? DType::nvfp4
         : name == "fp8_block" ? DType::fp8_block
                               : DType::fp8;
}

// Bytes the quantiser moves per element of A: read, read and write (per tensor); read and write; read and write 4.5
// bit.
double quantiser_bytes(const std::string& library, const std::string& dtype) {
  if (dtype == "bfloat16") return 0;
  if (dtype == "nvfp4") return 2 + 4.5 / 8;
  return dtype == "fp8" && library == "trtllm" ? 5 : 3;
}

// Copies of weight and activation the collector rotates through.
struct Copies {
  double weight, activation;
};
Copies copies(const std::string& library, const std::string& dtype, double l2, double weight_bytes) {
  if (library == "trtllm") return {std::clamp(std::ceil(l2 / weight_bytes), 1.0, 5.0), 1};
  if (library == "vllm") return {dtype == "fp8_block" || dtype == "nvfp4" ? 1.0 : 6.0, 1};
  return {6, 6};
}

struct Row {
  double m, n, k;
  double working_set;  // bytes that the loop cycles through
  double loop_flops;   // of the whole repetition
};

struct Family {
  Gpu gpu;
  FamilyKey key;
  DType type;
  double quantiser_bytes;
  Beside beside;
  std::vector<Row> rows;
};

double beside_us(const Family& f, const Row& r, const GemmFit& fit, std::span<const double> v) {
  if (v.size() <= At::element) return 0;
  const double sms = static_cast<double>(f.gpu.multiprocessors.value);
  const double moved = f.quantiser_bytes / (fit.memory * f.gpu.hbm_bandwidth.value.in(byte_per_second)) * 1e6;
  double time = r.m * r.k * (moved + v[At::element] * 1e-6 / sms);
  std::size_t at = At::extra;
  if (f.beside.rows) time += std::ceil(r.m / sms) * v[at++] * 1e-3;
  if (f.beside.scales) time += std::fmod(r.k, 512) == 0 ? r.n * v[at] * 1e-3 : 0;
  if (f.beside.single) time += r.m == 1 ? v[at] : 0;
  return time;
}

GemmConditions repeated(const Family& f, const Row& r, const GemmFit& fit) {
  const double l2 = f.gpu.l2_capacity.value.in(byte);
  const double usable = fit.resident * l2;
  GemmConditions conditions;
  conditions.miss = std::clamp((r.working_set - usable / 2) / usable, 0.0, 1.0);
  conditions.sustained = sustained_in(r.loop_flops / f.gpu.dense_peak.of(f.type)->value.in(flop_per_second));
  return conditions;
}

double predicted_us(const Family& f, std::span<const double> v, std::size_t index, bool in_step) {
  const Row& r = f.rows[index];
  const GemmFit fit = gemm_fit(f.key, {v.begin(), v.end()});
  const GemmConditions conditions = in_step ? GemmConditions{} : repeated(f, r, fit);
  const DType output = f.type == DType::fp32 ? DType::fp32 : DType::bf16;
  const GemmTerms terms = gemm_terms(Gemm{r.m, r.n, r.k, f.type, output}, f.gpu, fit, conditions);
  return terms.time.in(microsecond) + beside_us(f, r, fit, v);
}

std::string range(std::string_view name, const std::vector<Row>& rows, double Row::*field) {
  const auto [low, high] =
      std::minmax_element(rows.begin(), rows.end(), [&](const Row& a, const Row& b) { return a.*field < b.*field; });
  return fmt::format("{} {:.0f}..{:.0f}", name, (*low).*field, (*high).*field);
}

}  // namespace

double sustained_in(double loop) { return std::clamp(std::log10(loop / 5e-3) / 1.5, 0.0, 1.0); }

Gpu gpu_named(const std::string& name) {
  const Document profile = find_hardware(name, "measurements");
  return std::get<Gpu>(read_cluster(profile.json, profile.origin).device);
}

std::vector<Parameter> gemm_parameters() { return parameters({.dtype = "bfloat16"}); }

GemmFit gemm_fit(const FamilyKey& key, const std::vector<double>& v) {
  GemmFit fit;
  fit.launch = v[At::launch] * microsecond;
  fit.tensor = v[At::tensor];
  fit.throttle = v[At::throttle];
  fit.memory = v[At::memory];
  fit.load = 1 * second / (v[At::load] * gigabyte);
  fit.k_step = v[At::k_step] * nanosecond;
  fit.epilogue = 1 * second / (v[At::epilogue] * gigabyte);
  fit.split = v[At::split] * microsecond;
  fit.leak = v[At::leak];
  fit.resident = v[At::resident];
  if (key.dtype == "fp8_block") fit.tiles = TileSet::deepgemm;
  if (key.dtype == "nvfp4") fit.tiles = TileSet::cutlass;
  if (key.dtype == "fp8_block" && is_blackwell(key.device)) fit.tiles = TileSet::cutlass;
  fit.source = Source::fitted;
  return fit;
}

FamilyData gemm_family(const FamilyKey& key, const Gpu& gpu, DType format, const std::vector<GemmRow>& rows) {
  const auto family = std::make_shared<Family>(Family{gpu, key, format, 0, {}});
  FamilyData data;
  data.key = key;
  data.parameters = gemm_parameters();
  std::map<std::pair<double, double>, int> groups;
  for (const GemmRow& row : rows) {
    family->rows.push_back({row.m, row.n, row.k, std::numeric_limits<double>::infinity(), 0});
    data.observations.measured.push_back(row.measured.in(microsecond));
    data.group.push_back(groups.try_emplace({row.n, row.k}, static_cast<int>(groups.size())).first->second);
    data.size.push_back(row.m);
  }
  if (!rows.empty()) {
    data.domain = range("m", family->rows, &Row::m) + ", " + range("n", family->rows, &Row::n) + ", " +
                  range("k", family->rows, &Row::k);
  }
  data.observations.predicted = [family](std::span<const double> v, std::size_t i) { return predicted_us(*family, v, i, false); };
  return data;
}

bool is_gemm_csv(const Csv& csv) { return csv.has_all({"gpu", "framework", "kernel", "dtype", "m", "n", "k", "latency_us"}); }

std::vector<FamilyData> gemm_families(const Csv& csv) {
  std::map<FamilyKey, std::pair<std::shared_ptr<Family>, FamilyData>> families;
  std::map<FamilyKey, std::map<std::pair<double, double>, int>> groups;
  for (std::size_t i = 0; i < csv.rows(); ++i) {
    const std::string device = device_name(csv.text(i, "gpu"));
    const std::string dtype(csv.text(i, "dtype")), library(csv.text(i, "framework"));
    const FamilyKey key{device, "gemm", library, dtype};
    auto& [family, data] = families[key];
    if (!family) {
      family = std::make_shared<Family>(
          Family{gpu_named(device), key, dtype_of(dtype), quantiser_bytes(library, dtype), beside(key), {}});
      data.key = key;
      data.parameters = parameters(key);
      data.surface = correction();
    }
    const auto m = csv.number(i, "m"), n = csv.number(i, "n"), k = csv.number(i, "k"), t = csv.number(i, "latency_us");
    if (!m || !n || !k || !t || !(*m > 0) || !(*n > 0) || !(*k > 0) || !(*t > 0)) {
      ++data.skipped["missing value"];
      continue;
    }
    if (dtype == "fp8_block" && library == "vllm") {
      ++data.skipped["host-bound: eager launch, not a kernel time"];
      continue;
    }
    const double element = bits(family->type) / 8;
    const double weight = *n * *k * element;
    const Copies kept = copies(library, dtype, family->gpu.l2_capacity.value.in(byte), weight);
    family->rows.push_back({*m, *n, *k, kept.weight * weight + kept.activation * *m * *k * element + *m * *n * 2,
                            9 * kept.weight * 2 * *m * *n * *k});
    data.observations.measured.push_back(*t);
    data.size.push_back(*m);  // tokens grow from scenario to scenario; n and k belong to the model
    data.coordinates.push_back({std::log2(*m), std::log2(*n), std::log2(*k)});
    auto& seen = groups[key];
    data.group.push_back(seen.try_emplace({*n, *k}, static_cast<int>(seen.size())).first->second);
  }
  std::vector<FamilyData> list;
  for (auto& [key, entry] : families) {
    auto& [family, data] = entry;
    data.check_only = family->rows.size() < 50;
    if (family->rows.empty()) {
      list.push_back(std::move(data));
      continue;
    }
    data.domain = range("m", family->rows, &Row::m) + ", " + range("n", family->rows, &Row::n) + ", " +
                  range("k", family->rows, &Row::k);
    data.observations.predicted = [rows = family](std::span<const double> v, std::size_t index) {
      return predicted_us(*rows, v, index, false);
    };
    data.in_step = [rows = family](std::span<const double> v, std::size_t index) {
      return predicted_us(*rows, v, index, true);
    };
    std::vector<double> second_start;
    for (const Parameter& p : data.parameters) second_start.push_back(p.start);
    second_start[At::load] = 200;
    second_start[At::k_step] = 60;
    second_start[At::tensor] = 0.9;
    second_start[At::epilogue] = 60;
    data.starts = {second_start};
    list.push_back(std::move(data));
  }
  return list;
}

}  // namespace moeline
