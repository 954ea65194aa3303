#include "fit/records.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "error.hpp"
#include "fit/device_names.hpp"
#include "fit/gemm_data.hpp"
#include "fit/nccl_data.hpp"
#include "fit/training_gemm_data.hpp"
#include "spec/catalogue.hpp"
#include "spec/cluster.hpp"
#include "spec/dtype.hpp"

namespace moeline {
namespace {

struct MemoryPass {
  Bytes bytes;
  Seconds measured;
};

// Everything read for one family; only the list of its op is filled.
struct Entry {
  DType format = DType::bf16;
  std::vector<GemmRow> products;
  std::vector<GroupedGemmRow> grouped;
  std::vector<NcclRow> calls;
  std::vector<MemoryPass> passes;
  std::map<std::string, std::size_t> skipped;
};
using Entries = std::map<FamilyKey, Entry>;

bool known_device(std::string_view name) {
  return std::ranges::any_of(hardware_catalogue(), [&](const CatalogueEntry& entry) { return entry.name == name; });
}

// Gemm pages spell bf16 as their first source does.
std::string family_dtype(std::string_view op, const std::string& dtype) {
  if (op == "collective" || op == "all_to_all") return "all";
  return op == "gemm" && dtype == "bf16" ? "bfloat16" : dtype;
}

double positive(ObjectReader& shape, std::string_view key) { return shape.number(key, 1, 1e18); }

NcclRow call_of(ObjectReader& shape, bool exchange, const std::string& dtype, Seconds measured) {
  NcclRow row;
  row.exchange = exchange;
  row.floating = !dtype.starts_with("int");
  if (!exchange) {
    const std::string kind = shape.one_of("kind", {"all_gather", "reduce_scatter", "all_reduce"});
    row.kind = kind == "all_gather"       ? CollectiveKind::all_gather
               : kind == "reduce_scatter" ? CollectiveKind::reduce_scatter
                                          : CollectiveKind::all_reduce;
  }
  row.ranks = shape.number("ranks", 2, 1e6);
  row.size = positive(shape, "bytes") * byte;
  row.measured = measured;
  return row;
}

void add_shape(Entry& entry, const std::string& op, ObjectReader shape, const std::string& dtype, Seconds measured) {
  if (op == "gemm") {
    entry.products.push_back({positive(shape, "m"), positive(shape, "n"), positive(shape, "k"), measured});
  } else if (op == "grouped_gemm") {
    entry.grouped.push_back(
        {positive(shape, "groups"), positive(shape, "m"), positive(shape, "n"), positive(shape, "k"), measured});
  } else if (op == "memory_pass") {
    entry.passes.push_back({positive(shape, "bytes") * byte, measured});
  } else {
    entry.calls.push_back(call_of(shape, op == "all_to_all", dtype, measured));
  }
}

bool known_op(std::string_view op) {
  constexpr std::string_view ops[]{"gemm", "grouped_gemm", "memory_pass", "all_to_all", "collective"};
  return std::ranges::find(ops, op) != std::end(ops);
}

void add_record(Entries& entries, std::string_view line, const std::string& where) {
  const Json json = parse_json(line, where);
  ObjectReader record(json, where);
  const std::string op = record.string("op"), dtype = record.string("dtype");
  const std::string device = device_name(record.string("device"));
  const std::string backend = record.string("backend");
  ObjectReader seconds = record.object("seconds");
  const Seconds measured = seconds.number("median", 1e-12, 1e6) * second;
  const bool exchange = op == "all_to_all";  // one set of parameters serves it and the collectives
  Entry& entry = entries[{device, exchange ? "collective" : op, backend, family_dtype(op, dtype)}];
  const std::optional<DType> format = dtype_named(dtype);
  if (!known_op(op)) {
    ++entry.skipped["an op without a family"];
  } else if (!known_device(device)) {
    ++entry.skipped["no hardware profile of this name"];
  } else if (!format && (op == "gemm" || op == "grouped_gemm")) {
    ++entry.skipped["a dtype that is not known"];
  } else {
    entry.format = format.value_or(DType::bf16);
    add_shape(entry, op, record.object("shape"), dtype, measured);
  }
}

FamilyData memory_family(const FamilyKey& key, std::vector<MemoryPass> passes) {
  const Document profile = find_hardware(key.device, "measurements");
  const Cluster cluster = read_cluster(profile.json, profile.origin);
  const Gpu* gpu = std::get_if<Gpu>(&cluster.device);
  FamilyData data{.key = key};
  if (gpu == nullptr) {
    data.skipped["not a GPU"] = passes.size();
    return data;
  }
  const BytesPerSecond bandwidth = gpu->hbm_bandwidth.value;
  data.parameters = {{"launch", "us", 3, 0.5, 60}, {"memory", "of HBM", 0.85, 0.3, 1.0}};
  for (const MemoryPass& pass : passes) {
    data.observations.measured.push_back(pass.measured.in(microsecond));
    data.group.push_back(static_cast<int>(data.group.size() % 5));  // sizes are all there is: every fifth together
    data.size.push_back(pass.bytes.in(byte));
  }
  const auto [low, high] = std::ranges::minmax(data.size);
  data.domain = fmt::format("{:.0f} B..{:.0f} MB", low, high / 1e6);
  data.observations.predicted = [rows = std::move(passes), bandwidth](std::span<const double> v, std::size_t i) {
    const MemoryFit fit = memory_fit({v.begin(), v.end()});
    return (fit.launch + rows[i].bytes / (fit.memory * bandwidth)).in(microsecond);
  };
  return data;
}

FamilyData family_of(const FamilyKey& key, Entry entry) {
  FamilyData data{.key = key};
  if (!entry.products.empty()) data = gemm_family(key, entry.format, entry.products);
  if (!entry.grouped.empty()) data = grouped_gemm_family(key, entry.format, entry.grouped);
  if (!entry.passes.empty()) data = memory_family(key, std::move(entry.passes));
  if (!entry.calls.empty()) data = collective_family(key.device, std::move(entry.calls));
  data.key = key;
  for (const auto& [reason, count] : entry.skipped) data.skipped[reason] += count;
  data.check_only = data.observations.measured.size() < kFewestRecords;
  return data;
}

}  // namespace

MemoryFit memory_fit(const std::vector<double>& v) {
  return {.launch = v.at(0) * microsecond, .memory = v.at(1), .source = Source::fitted};
}

std::vector<FamilyData> record_families(std::string_view text, const std::string& origin) {
  Entries entries;
  for (std::size_t line = 1; !text.empty(); ++line) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view record = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (record.find_first_not_of(" \t\r") != std::string_view::npos) {
      add_record(entries, record, fmt::format("{}:{}", origin, line));
    }
  }
  std::vector<FamilyData> list;
  for (auto& [key, entry] : entries) list.push_back(family_of(key, std::move(entry)));
  return list;
}

}  // namespace moeline
