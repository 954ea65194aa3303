#include "fit/deepep_data.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "fit/device_names.hpp"
#include "spec/catalogue.hpp"
#include "spec/cluster.hpp"

namespace moeline {
namespace {

// Of the one-node runs; several nodes were measured with one version only.
constexpr std::string_view kVersion = "0.5.12";

enum Near : std::size_t {
  launch, token, copy, row_bandwidth, copy_bandwidth, link, overlap, fill_bandwidth, fill_tokens
};
enum Nodes : std::size_t {
  far_launch, far_doubling, far_token, far_node_bandwidth, far_copy_bandwidth, far_wire, far_link, far_overlap,
  far_fill_bandwidth, far_fill_tokens
};
enum Low : std::size_t { low_launch, low_expert, low_token, low_copy_bandwidth, low_link, low_overlap };
enum LowNodes : std::size_t { wide_launch, wide_doubling, wide_wire, wide_overlap };

bool several_nodes(const FamilyKey& key) { return key.operation.find("_nodes_") != std::string::npos; }
DeepEpDirection direction_of(const FamilyKey& key) {
  return key.operation.ends_with("dispatch") ? DeepEpDirection::dispatch : DeepEpDirection::combine;
}

std::vector<Parameter> normal_parameters(const FamilyKey& key) {
  const bool out = direction_of(key) == DeepEpDirection::dispatch;
  if (several_nodes(key)) {
    return {{"launch", "us", out ? 20.0 : 40.0, 3, 100},
            {"doubling", "us per doubling of nodes", 10, 0.1, 40},
            {"token", "us of one SM", 0.4, 0.01, 10}, {"node_bandwidth", "GB/s per SM", 25, 2, 1000},
            {"copy_bandwidth", "GB/s per SM", 14, 1, 1000}, {"wire", "of the NIC", 0.9, 0.3, 1},
            {"link", "of NVLink", 0.8, 0.3, 1}, {"overlap", "exponent", 5, 1, 10},
            {"fill_bandwidth", "GB/s", 200, 2, 5000}, {"fill_tokens", "tokens", 200, 0.5, 4000}};
  }
  return {{"launch", "us", 30, 5, 80}, {"token", "us of one SM", 0.2, 0.001, 2},
          {"copy", "us of one SM", 0.06, 0.0005, 1}, {"row_bandwidth", "GB/s per SM", out ? 80.0 : 10.0, 2, 1000},
          {"copy_bandwidth", "GB/s per SM", 35, 3, 1000}, {"link", "of NVLink", 0.8, 0.3, 1},
          {"overlap", "exponent", 3, 1, 10}, {"fill_bandwidth", "GB/s", out ? 500.0 : 15.0, 2, 5000},
          {"fill_tokens", "tokens", out ? 100.0 : 3.0, 0.5, 400}};
}

std::vector<Parameter> low_latency_parameters(const FamilyKey& key) {
  if (several_nodes(key)) {
    return {{"launch", "us", 18, 3, 60}, {"doubling", "us per doubling of nodes", 3, 0.1, 20},
            {"wire", "of the NIC", 0.9, 0.3, 1}, {"overlap", "exponent", 3, 1, 8}};
  }
  return {{"launch", "us", 10, 1, 40}, {"expert", "us per local expert", 0.1, 0.005, 2},
          {"token", "us of one block", 0.5, 0.01, 10}, {"copy_bandwidth", "GB/s per block", 30, 1, 2000},
          {"link", "of NVLink", 0.7, 0.1, 1}, {"overlap", "exponent", 3, 1, 8}};
}

SecondsPerByte per_byte(double gigabytes_per_second) { return 1 * second / (gigabytes_per_second * gigabyte); }

struct Row {
  double tokens, hidden, top_k, experts, ranks, nodes, sms;
  DeepEpReach reach;
};

struct Family {
  FamilyKey key;
  BytesPerSecond link, nic;
  double multiprocessors = 0;
  std::vector<Row> rows;
};

double normal_us(const Family& f, std::span<const double> v, std::size_t index) {
  const Row& r = f.rows[index];
  const DeepEpNormal exchange{.tokens = r.tokens, .row = deepep_row(r.hidden, direction_of(f.key)), .ranks = r.ranks,
                              .ranks_hit = r.reach.ranks, .nodes = r.nodes, .nodes_hit = r.reach.nodes,
                              .multiprocessors = r.sms, .link = f.link, .nic = f.nic};
  return deepep_terms(exchange, deepep_fit(f.key, {v.begin(), v.end()})).time.in(microsecond);
}

double low_latency_us(const Family& f, std::span<const double> v, std::size_t index) {
  const Row& r = f.rows[index];
  const DeepEpLowLatency exchange{.tokens = r.tokens, .row = deepep_low_latency_row(r.hidden, direction_of(f.key)),
                                  .top_k = r.top_k, .experts = r.experts, .ranks = r.ranks, .nodes = r.nodes,
                                  .multiprocessors = f.multiprocessors, .link = f.link, .nic = f.nic};
  return deepep_terms(exchange, deepep_low_latency_fit(f.key, {v.begin(), v.end()})).time.in(microsecond);
}

std::shared_ptr<Family> family_of(const FamilyKey& key) {
  const Document profile = find_hardware(key.device, "measurements");
  const Cluster cluster = read_cluster(profile.json, profile.origin);
  const auto multiprocessors = static_cast<double>(std::get<Gpu>(cluster.device).multiprocessors.value);
  return std::make_shared<Family>(Family{key, device_bandwidth(cluster.fabric.at(0)),
                                         device_bandwidth(cluster.fabric.at(1)), multiprocessors, {}});
}

// Why a row is left out, or nothing.
std::string reason_to_skip(const Row& row, bool normal, std::string_view version) {
  if (row.nodes == 1 && version != kVersion) return "one node, measured with another version";
  if (normal && row.nodes == 8) return "8 nodes: 15 GB/s per NIC where the same fabric reaches 48";
  if (normal && row.nodes == 2 && row.sms == 12) return "12 SMs on 2 nodes: 1.4x slower than 8 and 16";
  return {};
}

std::optional<Row> row_at(const Csv& csv, std::size_t i, bool normal) {
  const auto tokens = csv.number(i, "tokens_per_rank"), hidden = csv.number(i, "hidden_size"),
             k = csv.number(i, "topk"), experts = csv.number(i, "num_experts"),
             ranks = csv.number(i, "ep"), nodes = csv.number(i, "nodes");
  const auto sms = normal ? csv.number(i, "sms") : std::optional<double>(0);
  if (!tokens || !hidden || !k || !experts || !ranks || !nodes || !sms) return std::nullopt;
  const MoeFfn moe{.experts = static_cast<std::int64_t>(*experts), .top_k = static_cast<std::int64_t>(*k)};
  return Row{*tokens, *hidden, *k, *experts, *ranks, *nodes, *sms, deepep_reach(moe, *ranks, *nodes)};
}

std::string operation_of(bool normal, bool several, bool out) {
  return fmt::format("deepep_{}{}_{}", normal ? (several ? "" : "normal") : "low_latency",
                     several ? (normal ? "nodes" : "_nodes") : "", out ? "dispatch" : "combine");
}

// What must be unseen together.
int group_of(const Row& row, bool normal) {
  if (row.nodes == 1) return static_cast<int>(row.hidden) / 1024;
  return static_cast<int>(normal ? row.sms / 4 : row.nodes);
}

std::string domain_of(const std::vector<Row>& rows) {
  const auto range = [&](std::string_view name, double Row::*field) {
    const auto less = [&](const Row& a, const Row& b) { return a.*field < b.*field; };
    const auto [low, high] = std::minmax_element(rows.begin(), rows.end(), less);
    return fmt::format("{} {:.0f}..{:.0f}", name, (*low).*field, (*high).*field);
  };
  return range("ranks", &Row::ranks) + ", " + range("tokens", &Row::tokens) + ", " +
         range("hidden", &Row::hidden) + ", " + range("top-k", &Row::top_k) + ", " + range("experts", &Row::experts);
}

using Families = std::map<FamilyKey, std::pair<std::shared_ptr<Family>, FamilyData>>;

void add(Families& families, const FamilyKey& key, bool normal, const Row& row, std::optional<double> measured,
         const std::string& skip) {
  auto& [family, data] = families[key];
  if (!family) {
    family = family_of(key);
    data.key = key;
    data.parameters = normal ? normal_parameters(key) : low_latency_parameters(key);
  }
  if (!skip.empty() || !measured || !(*measured > 0)) {
    ++data.skipped[skip.empty() ? "missing value" : skip];
    return;
  }
  family->rows.push_back(row);
  data.observations.measured.push_back(*measured);
  data.group.push_back(group_of(row, normal));
  data.size.push_back(row.tokens);
}

void finish(std::pair<std::shared_ptr<Family>, FamilyData>& entry, bool normal) {
  auto& [family, data] = entry;
  if (!family->rows.empty()) data.domain = domain_of(family->rows);
  data.observations.predicted = [rows = family, normal](std::span<const double> v, std::size_t index) {
    return normal ? normal_us(*rows, v, index) : low_latency_us(*rows, v, index);
  };
}

std::vector<FamilyData> families_of(const Csv& csv, bool normal) {
  Families families;
  for (std::size_t i = 0; i < csv.rows(); ++i) {
    const std::optional<Row> row = row_at(csv, i, normal);
    if (!row) continue;
    const std::string device = device_name(csv.text(i, "gpu"));
    const std::string skip = reason_to_skip(*row, normal, csv.text(i, "fw_version"));
    for (const bool out : {true, false}) {
      const FamilyKey key{device, operation_of(normal, row->nodes > 1, out), "deepep", out ? "fp8" : "bf16"};
      add(families, key, normal, *row, csv.number(i, out ? "dispatch_us" : "combine_us"), skip);
    }
  }
  std::vector<FamilyData> list;
  for (auto& [key, entry] : families) {
    if (entry.first->rows.empty()) continue;
    finish(entry, normal);
    list.push_back(std::move(entry.second));
  }
  return list;
}

}  // namespace

FamilyData deepep_family(const FamilyKey& key, const std::vector<DeepEpRow>& rows) {
  const bool normal = key.operation.find("low_latency") == std::string::npos;
  Families one;
  for (const DeepEpRow& r : rows) {
    const MoeFfn moe{.experts = static_cast<std::int64_t>(r.experts), .top_k = static_cast<std::int64_t>(r.top_k)};
    const Row row{r.tokens, r.hidden, r.top_k, r.experts, r.ranks, r.nodes, r.sms, deepep_reach(moe, r.ranks, r.nodes)};
    add(one, key, normal, row, r.measured.in(microsecond), {});
  }
  auto& entry = one.at(key);
  finish(entry, normal);
  return std::move(entry.second);
}

DeepEpFit deepep_fit(const FamilyKey& key, const std::vector<double>& v) {
  DeepEpFit fit;
  fit.source = Source::fitted;
  if (several_nodes(key)) {
    fit.launch = v[Nodes::far_launch] * microsecond;
    fit.doubling = v[Nodes::far_doubling] * microsecond;
    fit.token = v[Nodes::far_token] * microsecond;
    fit.node_byte = per_byte(v[Nodes::far_node_bandwidth]);
    fit.copy_byte = per_byte(v[Nodes::far_copy_bandwidth]);
    fit.wire = v[Nodes::far_wire];
    fit.link = v[Nodes::far_link];
    fit.overlap = v[Nodes::far_overlap];
    fit.fill = per_byte(v[Nodes::far_fill_bandwidth]);
    fit.fill_tokens = v[Nodes::far_fill_tokens];
    return fit;
  }
  fit.launch = v[Near::launch] * microsecond;
  fit.token = v[Near::token] * microsecond;
  fit.copy = v[Near::copy] * microsecond;
  fit.row_byte = per_byte(v[Near::row_bandwidth]);
  fit.copy_byte = per_byte(v[Near::copy_bandwidth]);
  fit.link = v[Near::link];
  fit.overlap = v[Near::overlap];
  fit.fill = per_byte(v[Near::fill_bandwidth]);
  fit.fill_tokens = v[Near::fill_tokens];
  return fit;
}

DeepEpLowLatencyFit deepep_low_latency_fit(const FamilyKey& key, const std::vector<double>& v) {
  DeepEpLowLatencyFit fit;
  fit.source = Source::fitted;
  if (several_nodes(key)) {
    fit.launch = v[LowNodes::wide_launch] * microsecond;
    fit.doubling = v[LowNodes::wide_doubling] * microsecond;
    fit.wire = v[LowNodes::wide_wire];
    fit.overlap = v[LowNodes::wide_overlap];
    return fit;
  }
  fit.launch = v[Low::low_launch] * microsecond;
  fit.expert = v[Low::low_expert] * microsecond;
  fit.token = v[Low::low_token] * microsecond;
  fit.copy_byte = per_byte(v[Low::low_copy_bandwidth]);
  fit.link = v[Low::low_link];
  fit.overlap = v[Low::low_overlap];
  return fit;
}

bool is_deepep_normal_csv(const Csv& csv) {
  return csv.has_all({"gpu", "fw_version", "nodes", "ep", "hidden_size", "tokens_per_rank", "topk", "num_experts",
                      "sms", "dispatch_us", "combine_us"});
}
bool is_deepep_low_latency_csv(const Csv& csv) {
  return !csv.has("sms") && csv.has_all({"gpu", "fw_version", "nodes", "ep", "hidden_size", "tokens_per_rank", "topk",
                                         "num_experts", "dispatch_us", "dispatch_gbps", "combine_us"});
}
std::vector<FamilyData> deepep_normal_families(const Csv& csv) { return families_of(csv, true); }
std::vector<FamilyData> deepep_low_latency_families(const Csv& csv) { return families_of(csv, false); }

}  // namespace moeline
