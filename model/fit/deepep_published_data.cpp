#include "fit/deepep_published_data.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "fit/deepep_data.hpp"

namespace moeline {
namespace {

constexpr double kExperts = 256;         // DeepSeek-V3, where the table leaves them out
constexpr double kMultiprocessors = 24;  // of the normal kernels

std::string newest_version(const Csv& csv) {
  std::string date, newest;
  for (std::size_t i = 0; i < csv.rows(); ++i) {
    const std::string version(csv.text(i, "version"));
    const std::string dated = version.substr(std::min(version.size(), version.find(' ')));
    if (dated > date || newest.empty()) {
      date = dated;
      newest = version;
    }
  }
  return newest;
}

// Time of a normal exchange from the bandwidth printed.
Seconds time_of(const DeepEpRow& row, DeepEpDirection direction, bool rdma, double gigabytes_per_second) {
  const MoeFfn moe{.experts = static_cast<std::int64_t>(row.experts), .top_k = static_cast<std::int64_t>(row.top_k)};
  const DeepEpReach reach = deepep_reach(moe, row.ranks, row.nodes);
  return row.tokens * (rdma ? reach.nodes : reach.ranks) * deepep_row(row.hidden, direction) /
         (gigabytes_per_second * gigabyte_per_second);
}

}  // namespace

bool is_deepep_published_csv(const Csv& csv) {
  return csv.has_all({"gpu", "mode", "op", "ep", "nodes", "tokens_per_rank", "hidden", "topk", "bottleneck_link",
                      "bottleneck_gbps", "latency_us", "version"});
}

std::vector<FamilyData> deepep_published_families(const Csv& csv) {
  const std::string newest = newest_version(csv);
  std::map<FamilyKey, std::pair<std::vector<DeepEpRow>, std::map<std::string, std::size_t>>> families;
  for (std::size_t i = 0; i < csv.rows(); ++i) {
    const bool normal = csv.text(i, "mode") == "normal", out = csv.text(i, "op") == "dispatch";
    const auto tokens = csv.number(i, "tokens_per_rank"), hidden = csv.number(i, "hidden"), k = csv.number(i, "topk"),
               ranks = csv.number(i, "ep"), nodes = csv.number(i, "nodes"), t = csv.number(i, "latency_us"),
               bandwidth = csv.number(i, "bottleneck_gbps");
    const bool several = nodes.value_or(1) > 1;
    std::string device(csv.text(i, "gpu"));
    std::ranges::transform(device, device.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    const std::string operation = fmt::format(
        "deepep_{}{}", normal ? (several ? "nodes_" : "normal_") : (several ? "low_latency_nodes_" : "low_latency_"),
        out ? "dispatch" : "combine");
    auto& [rows, skipped] = families[{device + "-sxm", operation, "deepep", out ? "fp8" : "bf16"}];
    if (csv.text(i, "version") != newest) {
      ++skipped["an earlier version of the library"];
    } else if (!tokens || !hidden || !k || !ranks || !nodes || (normal ? !bandwidth : !t)) {
      ++skipped["missing value"];
    } else {
      DeepEpRow row{*tokens, *hidden,          *k, csv.number(i, "num_experts").value_or(kExperts), *ranks,
                    *nodes,  kMultiprocessors, {}};
      const bool rdma = csv.text(i, "bottleneck_link").starts_with("RDMA");
      const DeepEpDirection direction = out ? DeepEpDirection::dispatch : DeepEpDirection::combine;
      row.measured = normal ? time_of(row, direction, rdma, *bandwidth) : *t * microsecond;
      rows.push_back(row);
    }
  }
  std::vector<FamilyData> list;
  for (auto& [key, entry] : families) {
    auto& [rows, skipped] = entry;
    FamilyData data{.key = key};
    if (!rows.empty()) data = deepep_family(key, rows);
    data.skipped = std::move(skipped);
    data.check_only = true;
    list.push_back(std::move(data));
  }
  return list;
}

}  // namespace moeline
