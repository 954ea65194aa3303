#include "fit/nccl_data.hpp"

#include <fmt/format.h>

#include <set>

#include <algorithm>
#include <cmath>
#include <memory>
#include <tuple>

#include "fit/device_names.hpp"
#include "spec/catalogue.hpp"
#include "spec/cluster.hpp"

namespace moeline {
namespace {

enum At : std::size_t {
  low_launch, low_hop, low_growth, low_link, low_overlap,
  simple_floor, simple_hop, simple_growth, simple_link, simple_overlap, own_copy,
  switch_floor, switch_link, switch_overlap, exchange_low, exchange_low_bandwidth, exchange_floor,
  exchange_peer, exchange_growth, exchange_link, exchange_decay
};

constexpr double kLargeWeight = 1.7320508;  // squared in the objective: 3x
constexpr Bytes kLarge = 4 * megabyte;

std::vector<Parameter> parameters() {
  return {{"low_launch", "us", 6, 1, 20},
          {"low_hop", "us per step", 1, 0.1, 5},
          {"low_growth", "of low latency", 0.25, 0.01, 1},
          {"low_link", "of the link", 0.22, 0.05, 1},
          {"low_overlap", "exponent", 2, 1, 6},
          {"simple_floor", "us", 16, 0.5, 60},
          {"simple_hop", "us per step", 4, 0.1, 40},
          {"simple_growth", "of the floor", 0.2, 0.01, 3},
          {"simple_link", "of the link", 0.8, 0.3, 1},
          {"simple_overlap", "exponent", 2, 1, 6},
          {"own_copy", "ring steps", 0.6, 0.05, 1.5},
          // Only long messages take the switch, so short ones must not decide it: firmer than the others.
          {"switch_floor", "us", 70, 5, 200, 3},
          {"switch_link", "of the link", 0.6, 0.15, 1.2, 5},
          {"switch_overlap", "exponent", 1.5, 1, 4},
          {"exchange_low", "us", 8, 2, 30},
          {"exchange_low_bandwidth", "GB/s per peer", 7, 1, 100},
          {"exchange_floor", "us", 15, 3, 60},
          {"exchange_peer", "us per peer", 0.3, 0.01, 3},
          {"exchange_growth", "of the floor", 0.5, 0.01, 5},
          {"exchange_link", "of the link", 0.73, 0.2, 1},
          {"exchange_decay", "per doubling of ranks", 0.05, 0.001, 0.4}};
}

CollectiveKind kind_of(std::string_view operation) {
  return operation == "all_gather"       ? CollectiveKind::all_gather
         : operation == "reduce_scatter" ? CollectiveKind::reduce_scatter
                                         : CollectiveKind::all_reduce;
}

struct Family {
  BytesPerSecond link;
  bool switch_reduces = false;
  std::vector<NcclRow> rows;
};

double predicted_us(const Family& family, std::span<const double> v, std::size_t index) {
  const NcclRow& row = family.rows[index];
  const NcclFit fit = nccl_fit({v.begin(), v.end()});
  if (row.exchange) return nccl_terms(NvlinkAllToAll{row.size, row.ranks, family.link}, fit).time.in(microsecond);
  const bool in_switch = row.floating && family.switch_reduces;
  const auto reduction = in_switch ? NvlinkReduction::ring_or_switch : NvlinkReduction::ring;
  return nccl_terms(NvlinkCollective{row.kind, row.size, row.ranks, family.link, reduction}, fit).time.in(microsecond);
}

}  // namespace

FamilyData collective_family(const std::string& device, std::vector<NcclRow> rows) {
  const Document profile = find_hardware(device, "measurements");
  return collective_family(device, read_cluster(profile.json, profile.origin).fabric.front(), std::move(rows));
}

FamilyData collective_family(const std::string& device, const Tier& tier, std::vector<NcclRow> rows) {
  FamilyData data;
  data.key = {device, "collective", "nccl", "all"};
  data.parameters = parameters();
  std::vector<double> second_start;
  for (const Parameter& p : data.parameters) second_start.push_back(p.start);
  second_start[At::simple_hop] = 11;
  second_start[At::simple_link] = 0.74;
  second_start[At::simple_overlap] = 1.9;
  second_start[At::own_copy] = 0.5;
  data.starts = {second_start};
  for (const NcclRow& row : rows) {
    data.observations.measured.push_back(row.measured.in(microsecond));
    data.observations.weight.push_back(row.size > kLarge ? kLargeWeight : 1);
    data.group.push_back(std::max(0, static_cast<int>(std::log2(row.ranks)) - 1));
    data.size.push_back(row.size.in(byte));
  }
  if (!rows.empty()) {
    const auto [low, high] = std::ranges::minmax(data.size);
    data.domain = fmt::format("{:.0f} B..{:.0f} MB, one NVLink domain", low, high / 1e6);
  }
  const auto family =
      std::make_shared<Family>(Family{device_bandwidth(tier), tier.in_switch_reduction, std::move(rows)});
  data.observations.predicted = [family](std::span<const double> v, std::size_t index) {
    return predicted_us(*family, v, index);
  };
  return data;
}

NcclFit nccl_fit(const std::vector<double>& v) {
  NcclFit fit;
  fit.low_launch = v[At::low_launch] * microsecond;
  fit.low_hop = v[At::low_hop] * microsecond;
  fit.low_growth = v[At::low_growth];
  fit.low_link = v[At::low_link];
  fit.low_overlap = v[At::low_overlap];
  fit.simple_floor = v[At::simple_floor] * microsecond;
  fit.simple_hop = v[At::simple_hop] * microsecond;
  fit.simple_growth = v[At::simple_growth];
  fit.simple_link = v[At::simple_link];
  fit.simple_overlap = v[At::simple_overlap];
  fit.own_copy = v[At::own_copy];
  fit.switch_floor = v[At::switch_floor] * microsecond;
  fit.switch_link = v[At::switch_link];
  fit.switch_overlap = v[At::switch_overlap];
  fit.exchange_low = v[At::exchange_low] * microsecond;
  fit.exchange_low_byte = 1 * second / (v[At::exchange_low_bandwidth] * gigabyte);
  fit.exchange_floor = v[At::exchange_floor] * microsecond;
  fit.exchange_link = v[At::exchange_link];
  fit.exchange_peer = v[At::exchange_peer] * microsecond;
  fit.exchange_growth = v[At::exchange_growth];
  fit.exchange_decay = v[At::exchange_decay];
  fit.source = Source::fitted;
  return fit;
}

bool is_nccl_csv(const Csv& csv) {
  return csv.has_all({"gpu", "nccl_version", "op", "dtype", "num_gpus", "size_bytes", "latency_us"});
}

std::vector<NcclRow> nccl_rows(const Csv& csv, const std::string& device) {
  // Size first: rows come out ordered by it.
  std::map<std::tuple<double, std::string, std::string, double, std::string>, std::vector<double>> repeats;
  for (std::size_t i = 0; i < csv.rows(); ++i) {
    const auto ranks = csv.number(i, "num_gpus"), size = csv.number(i, "size_bytes"), t = csv.number(i, "latency_us");
    if (device_name(csv.text(i, "gpu")) != device || !ranks || !size || !t || !(*t > 0)) continue;
    repeats[{*size, std::string(csv.text(i, "op")), std::string(csv.text(i, "dtype")), *ranks,
             std::string(csv.text(i, "nccl_version"))}].push_back(*t);
  }
  std::vector<NcclRow> rows;
  for (auto& [key, times] : repeats) {
    const auto& [size, operation, dtype, ranks, version] = key;
    rows.push_back({operation == "alltoall", dtype != "int8", kind_of(operation), ranks, size * byte,
                    quantile(times, 0.5) * microsecond});
  }
  return rows;
}

std::vector<FamilyData> nccl_families(const Csv& csv) {
  std::map<std::string, std::size_t> lines;
  std::map<std::string, std::size_t> missing;
  for (std::size_t i = 0; i < csv.rows(); ++i) {
    const std::string device = device_name(csv.text(i, "gpu"));
    ++lines[device];
    const auto ranks = csv.number(i, "num_gpus"), size = csv.number(i, "size_bytes"), t = csv.number(i, "latency_us");
    if (!ranks || !size || !t || !(*t > 0)) ++missing[device];
  }
  std::vector<FamilyData> list;
  for (const auto& [device, count] : lines) {
    std::vector<NcclRow> rows = nccl_rows(csv, device);
    if (rows.empty()) continue;
    FamilyData data = collective_family(device, std::move(rows));
    if (missing[device]) data.skipped["missing value"] = missing[device];
    data.skipped["repeat of one measurement: its median is used"] =
        count - missing[device] - data.observations.measured.size();
    // Two rank counts do not say how anything grows with ranks.
    data.check_only = std::set<int>(data.group.begin(), data.group.end()).size() < 3;
    list.push_back(std::move(data));
  }
  return list;
}

}  // namespace moeline
