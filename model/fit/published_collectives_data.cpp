#include "fit/published_collectives_data.hpp"

#include <algorithm>

#include "fit/nccl_data.hpp"

namespace moeline {
namespace {

constexpr Bytes kLaunchBound = 4 * megabyte;

bool is_vidur(const Csv& csv) {
  return csv.has_all({"system", "collective", "num_gpus", "gpus_per_node", "nodes", "size_bytes", "latency_us_median"});
}
bool is_coreweave(const Csv& csv) {
  return csv.has_all({"system", "gpus", "nodes", "nvlink_domains", "collective", "size_bytes", "oop_time_us"});
}
bool is_stas(const Csv& csv) {
  return csv.has_all({"system", "collective", "size_bytes", "busbw_gbps", "latency_us_derived"});
}

// Where a row is filed, what it says if it can be priced, and why not otherwise.
struct Filed {
  std::string device;
  NcclRow row;
  std::string skip;
};

Filed vidur_row(const Csv& csv, std::size_t i) {
  const bool switched = csv.text(i, "system").find("NVSwitch") != std::string_view::npos;
  Filed filed{.device = switched ? "h100-sxm" : "h100-pairs"};
  const auto ranks = csv.number(i, "num_gpus"), size = csv.number(i, "size_bytes"),
             t = csv.number(i, "latency_us_median");
  if (!ranks || !size || !t || !(*t > 0)) return filed.skip = "missing value", filed;
  filed.row = {false, true, CollectiveKind::all_reduce, *ranks, *size * byte, *t * microsecond};
  if (!switched) return filed.skip = "pairwise NVLink bridges: no profile of that node", filed;
  if (csv.text(i, "collective") != "all_reduce")
    return filed.skip = "send_recv: no family of measured parameters", filed;
  if (csv.number(i, "nodes").value_or(1) > 1)
    return filed.skip = "across nodes: no family of measured parameters", filed;
  if (filed.row.size < kLaunchBound) filed.skip = "below 4 MB: host launch, 7 to 44 us without a trend";
  return filed;
}

Filed coreweave_row(const Csv& csv, std::size_t i) {
  const bool rack = csv.text(i, "system").find("NVL72") != std::string_view::npos;
  Filed filed{.device = rack ? "gb200-nvl72" : "h100-sxm"};
  const auto ranks = csv.number(i, "gpus"), size = csv.number(i, "size_bytes"), t = csv.number(i, "oop_time_us");
  if (!ranks || !size || !t || !(*t > 0)) return filed.skip = "missing value", filed;
  filed.row = {false, true, CollectiveKind::all_reduce, *ranks, *size * byte, *t * microsecond};
  // The nodes of other systems are joined by InfiniBand, whatever the column says.
  if (!rack || csv.number(i, "nvlink_domains").value_or(2) > 1) {
    filed.skip = "across NVLink domains: no family of measured parameters";
  }
  return filed;
}

Filed filed_row(const Csv& csv, std::size_t i) {
  if (is_vidur(csv)) return vidur_row(csv, i);
  if (is_coreweave(csv)) return coreweave_row(csv, i);
  return {.device = "not stated", .skip = "neither device nor ranks stated"};
}

}  // namespace

bool is_published_collectives_csv(const Csv& csv) { return is_vidur(csv) || is_coreweave(csv) || is_stas(csv); }

std::vector<FamilyData> published_collective_families(const Csv& csv) {
  struct Entry {
    std::vector<NcclRow> rows;
    std::map<std::string, std::size_t> skipped;
  };
  std::map<std::string, Entry> devices;
  for (std::size_t i = 0; i < csv.rows(); ++i) {
    const Filed filed = filed_row(csv, i);
    Entry& entry = devices[filed.device];
    if (filed.skip.empty()) {
      entry.rows.push_back(filed.row);
    } else {
      ++entry.skipped[filed.skip];
    }
  }
  std::vector<FamilyData> list;
  for (auto& [device, entry] : devices) {
    FamilyData data{.key = {device, "collective", "nccl", "all"}};
    if (!entry.rows.empty()) data = collective_family(device, std::move(entry.rows));
    data.skipped = std::move(entry.skipped);
    data.check_only = true;
    list.push_back(std::move(data));
  }
  return list;
}

}  // namespace moeline
