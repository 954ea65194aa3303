#include "fit/moe_data.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <memory>
#include <set>

#include "fit/device_names.hpp"
#include "fit/moe_counts.hpp"
#include "spec/catalogue.hpp"
#include "spec/cluster.hpp"

namespace moeline {
namespace {

enum At : std::size_t {
  launch,
  tensor,
  memory,
  load,
  k_step,
  epilogue,
  leak,
  resident,
  least_rows,
  row_passes,
  token_passes,
  token,
  row,
  routing,
  expert,
  wide
};

// `wide` last: only Triton's default configurations know it.
std::vector<Parameter> parameters(double floor_us, bool triton) {
  std::vector<Parameter> list{{"launch", "us", floor_us, 3, 400},
                              {"tensor", "of peak", 0.6, 0.05, 1.05},
                              {"memory", "of HBM", 0.8, 0.05, 1.0},
                              {"load", "GB/s per SM", 80, 1, 400},
                              {"k_step", "ns per 128 B", 100, 1, 2000},
                              {"epilogue", "GB/s per SM", 100, 2, 4000},
                              {"leak", "of the smaller bound", 0.2, 0.001, 1.0},
                              {"resident", "of L2", 0.6, 0.02, 1.5},
                              {"least_rows", "rows", 32, 8, 128},
                              {"row_passes", "of the ideal bytes", 1.5, 0.2, 12},
                              {"token_passes", "of the ideal bytes", 1.5, 0.2, 40},
                              {"token", "ns per token and SM", 20, 0.01, 3000},
                              {"row", "ns per row and SM", 20, 0.01, 3000},
                              {"routing", "us", 2, 0.01, 40},
                              {"expert", "ns per local expert", 20, 0.01, 2000}};
  if (triton) list.push_back({"wide", "of load", 1, 0.1, 3});
  return list;
}

struct Format {
  DType activations;
  double weight_bits;
};
Format format_of(std::string_view dtype) {
  if (dtype == "bfloat16") return {DType::bf16, 16};
  if (dtype == "fp8") return {DType::fp8, 8};
  if (dtype == "fp8_block") return {DType::fp8_block, 8 + 32.0 / (128 * 128)};
  if (dtype == "nvfp4") return {DType::nvfp4, bits(DType::nvfp4)};
  if (dtype == "w4a16_mxfp4") return {DType::bf16, bits(DType::mxfp4)};
  if (dtype == "w4a8_mxfp4_mxfp8") return {DType::mxfp8, bits(DType::mxfp4)};
  return {DType::bf16, 4 + 16.0 / 128};  // int4_wo: a bf16 scale per 128
}

struct Shape {
  double hidden, inter, top_k, experts;
  friend auto operator<=>(const Shape&, const Shape&) = default;
};
// Squared ReLU and a single up-projection: Nemotron's layers.
bool is_gated(const Shape& s) {
  static const std::set<Shape> ungated{
      {2048, 5120, 22, 512}, {2688, 1856, 6, 128}, {8192, 5120, 22, 512}, {1024, 2688, 22, 512}, {4096, 2688, 22, 512}};
  return !ungated.contains(s);
}
const Shape kGroupLimited{7168, 2048, 8, 256};  // DeepSeek-V3

// Shapes of models whose plain softmax routing SGLang's collector runs on the tokens of one rank.
bool folds(const Shape& s) {
  static const std::set<Shape> folded{{2816, 704, 8, 128}, {4096, 14336, 2, 8}, {6144, 16384, 2, 8}};
  return folded.contains(s);
}

RoutedAs routed_as(const std::string& kernel, const Shape& shape, std::int64_t ranks) {
  if (kernel == "deepepmoe-context") return RoutedAs::received;
  if (kernel == "deepepmoe-generation") return RoutedAs::masked;
  if (kernel == "moe_torch_flow_min_latency") return RoutedAs::group_limited;
  const bool trtllm = kernel.starts_with("moe_torch") || kernel.starts_with("deepgemm");
  if (!trtllm && shape == kGroupLimited) return RoutedAs::group_limited;
  if (kernel == "sglang_fused_moe_triton" && ranks > 1 && folds(shape)) return RoutedAs::folded;
  return RoutedAs::wished;
}

// With an expert map the activation and the reduction run over the rows of all ranks: Triton's and vLLM's Marlin
// kernels.
bool maps_experts(const std::string& kernel) {
  return kernel.find("triton") != std::string::npos ||
         (kernel.starts_with("vllm") && kernel.find("marlin") != std::string::npos);
}

struct Row {
  MoeOp op;
  MoeLoad load;
  double working_set;  // bytes that the repetition of one layer cycles through
};

struct Family {
  Gpu gpu;
  std::vector<Row> rows;
};

double predicted_us(const Family& f, std::span<const double> v, std::size_t index, bool in_step) {
  const Row& r = f.rows[index];
  const MoeOpFit fit = moe_op_fit(v);
  const double usable = fit.resident * f.gpu.l2_capacity.value.in(byte);
  const MoeConditions repeated{.miss = std::clamp((r.working_set - usable / 2) / usable, 0.0, 1.0)};
  return moe_op_terms(r.op, r.load, f.gpu, fit, in_step ? MoeConditions{} : repeated).time.in(microsecond);
}

double working_set(const MoeOp& op, const MoeLoad& load) {
  return weights_hit(op, load).in(byte) + 2 * (load.tokens * op.hidden + load.rows * (op.up_columns() + op.hidden));
}

// "balanced", "uniform" -> 0, "power_law_1.2" -> 1.2
std::optional<double> exponent_of(std::string_view distribution) {
  if (distribution == "balanced" || distribution == "uniform") return 0;
  constexpr std::string_view law = "power_law_";
  if (!distribution.starts_with(law)) return std::nullopt;
  return std::stod(std::string(distribution.substr(law.size())));
}

// A family as it is read, with what its folds may keep together.
struct Reading {
  std::shared_ptr<Family> family;
  FamilyData data;
  std::map<Shape, int> shapes;
  std::map<std::tuple<Shape, double, double>, int> cuts;
  std::vector<int> cut;
};

std::shared_ptr<Family> family_on(const std::string& device) {
  const Document profile = find_hardware(device, "measurements");
  return std::make_shared<Family>(Family{std::get<Gpu>(read_cluster(profile.json, profile.origin).device), {}});
}

// Reason why the row cannot be used; empty if it was added.
std::string add_row(Reading& reading, MoeCounts& counts, const Csv& csv, std::size_t i) {
  const auto tokens = csv.number(i, "num_tokens"), hidden = csv.number(i, "hidden_size"),
             inter = csv.number(i, "inter_size"), top_k = csv.number(i, "topk"), experts = csv.number(i, "num_experts"),
             ep = csv.number(i, "ep"), time = csv.number(i, "latency_us");
  const auto tp = csv.has("tp") ? csv.number(i, "tp") : std::optional(1.0);
  const auto exponent = exponent_of(csv.text(i, "distribution"));
  if (!tokens || !hidden || !inter || !top_k || !experts || !ep || !time || !tp || !(*time > 0)) return "missing value";
  if (!exponent) return "unknown distribution";
  if (std::fmod(*experts, *ep) != 0 || *top_k > *experts) return "experts do not divide among ranks";
  const FamilyKey& key = reading.data.key;
  const Shape shape{*hidden, *inter, *top_k, *experts};
  const TokenBatch batch{static_cast<std::int64_t>(*tokens), static_cast<std::int64_t>(*experts),
                         static_cast<std::int64_t>(*top_k), static_cast<std::int64_t>(*ep)};
  const Format format = format_of(key.dtype);
  const RoutedAs routed = routed_as(key.library, shape, batch.ranks);
  Row row{MoeOp{*hidden, *inter / *tp, is_gated(shape), format.activations, format.weight_bits},
          counts.of(batch, *exponent, routed), 0};
  if (maps_experts(key.library) && routed != RoutedAs::folded) row.load.element_rows = *tokens * *top_k;
  row.working_set = working_set(row.op, row.load);
  reading.data.coordinates.push_back({std::log2(std::max(1.0, row.load.tokens)),
                                      std::log2(std::max(1.0, weights_hit(row.op, row.load).in(byte))),
                                      std::log2(row.op.inter)});
  reading.family->rows.push_back(row);
  reading.data.observations.measured.push_back(*time);
  reading.data.size.push_back(*tokens);
  reading.data.group.push_back(
      reading.shapes.try_emplace(shape, static_cast<int>(reading.shapes.size())).first->second);
  const std::tuple cut{shape, *tp, *ep};
  reading.cut.push_back(reading.cuts.try_emplace(cut, static_cast<int>(reading.cuts.size())).first->second);
  return {};
}

std::vector<double> with(std::vector<double> start, std::initializer_list<std::pair<At, double>> changes) {
  for (const auto& [at, value] : changes) start[at] = value;
  return start;
}

FamilyData finished(Reading reading) {
  FamilyData& data = reading.data;
  const std::size_t shapes = reading.shapes.size();
  if (shapes < 3) data.group = reading.cut;
  const auto [low, high] = std::minmax_element(data.size.begin(), data.size.end());
  data.domain = fmt::format("tokens {:.0f}..{:.0f}, {} model shape{}{}", *low, *high, shapes, shapes == 1 ? "" : "s",
                            shapes < 3 ? "; folds leave out cuts (tp, ep) of them" : "");
  const double floor_us = std::clamp(0.9 * quantile(data.observations.measured, 0.02), 3.5, 390.0);
  data.parameters = parameters(floor_us, data.key.library.find("triton") != std::string::npos);
  std::vector<double> start;
  for (const Parameter& p : data.parameters) start.push_back(p.start);
  data.starts = {with(start, {{load, 160}, {k_step, 20}, {tensor, 0.9}, {row_passes, 2.5}}),
                 with(start, {{load, 40}, {k_step, 200}, {tensor, 0.4}, {leak, 0.6}})};
  // Kernels are chosen by tokens and by the narrower side of an expert.
  data.surface.axes = {"tokens", "weight bytes hit", "inter"};
  data.surface.knots = {{0, 2, 4, 6, 9, 14}, {18, 23, 27, 35}, {5, 9, 13}};
  data.observations.predicted = [rows = reading.family](std::span<const double> v, std::size_t i) {
    return predicted_us(*rows, v, i, false);
  };
  data.in_step = [rows = reading.family](std::span<const double> v, std::size_t i) {
    return predicted_us(*rows, v, i, true);
  };
  return std::move(data);
}

}  // namespace

MoeOpFit moe_op_fit(std::span<const double> v) {
  MoeOpFit fit;
  fit.launch = v[At::launch] * microsecond;
  fit.tensor = v[At::tensor];
  fit.memory = v[At::memory];
  fit.load = 1 * second / (v[At::load] * gigabyte);
  fit.k_step = v[At::k_step] * nanosecond;
  fit.epilogue = 1 * second / (v[At::epilogue] * gigabyte);
  fit.leak = v[At::leak];
  fit.resident = v[At::resident];
  fit.least_rows = v[At::least_rows];
  fit.row_passes = v[At::row_passes];
  fit.token_passes = v[At::token_passes];
  fit.token = v[At::token] * nanosecond;
  fit.row = v[At::row] * nanosecond;
  fit.routing = v[At::routing] * microsecond;
  fit.expert = v[At::expert] * nanosecond;
  if (v.size() > At::wide) fit.wide = v[At::wide];
  fit.source = Source::fitted;
  return fit;
}

bool is_moe_op_csv(const Csv& csv) {
  return csv.has_all({"gpu", "kernel", "dtype", "num_tokens", "hidden_size", "inter_size", "topk", "num_experts", "ep",
                      "distribution", "latency_us"});
}

std::vector<FamilyData> moe_op_families(const Csv& csv) {
  std::map<FamilyKey, Reading> readings;
  MoeCounts counts;
  for (std::size_t i = 0; i < csv.rows(); ++i) {
    const std::string device = device_name(csv.text(i, "gpu"));
    std::string library(csv.text(i, "kernel"));
    if (csv.has("phase")) library += fmt::format("-{}", csv.text(i, "phase"));
    const FamilyKey key{device, "moe_op", library, std::string(csv.text(i, "dtype"))};
    Reading& reading = readings[key];
    if (!reading.family) {
      reading.family = family_on(device);
      reading.data.key = key;
    }
    const std::string reason = add_row(reading, counts, csv, i);
    if (!reason.empty()) ++reading.data.skipped[reason];
  }
  std::vector<FamilyData> families;
  for (auto& [key, reading] : readings) {
    if (reading.family->rows.size() >= 50) families.push_back(finished(std::move(reading)));
  }
  return families;
}

}  // namespace moeline
