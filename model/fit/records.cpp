#include "fit/records.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <tuple>

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

// A case, and how long it took each time that it was measured.
struct Taken {
  Record record;
  std::string where;
  std::vector<double> medians;
};
using CaseKey = std::tuple<FamilyKey, std::string, std::string, std::map<std::string, double>>;  // with op, kind, shape

struct File {
  std::map<FamilyKey, Entry> entries;
  std::vector<Taken> taken;
  std::map<CaseKey, std::size_t> cases;  // places in `taken`
  std::map<std::string, std::optional<Cluster>> machines;  // none: no profile of that name
};

SampleSet read_samples(ObjectReader reader) {
  SampleSet set{.median = reader.number("median", 1e-12, 1e6)};
  set.p10 = reader.number_or("p10", 0, 1e6, set.median);
  set.p90 = reader.number_or("p90", 0, 1e6, set.median);
  set.n = static_cast<std::size_t>(reader.integer_or("n", kNonNegative, 1));
  return set;
}

Json samples_json(const SampleSet& set) {
  const auto kept = [](double seconds) { return std::stod(fmt::format("{:.5g}", seconds)); };
  return Json{{"median", kept(set.median)}, {"p10", kept(set.p10)}, {"p90", kept(set.p90)}, {"n", set.n}};
}

const std::optional<Cluster>& machine_of(File& file, const std::string& device) {
  const auto [entry, first] = file.machines.try_emplace(device);
  if (first && has_profile(device)) {
    const Document profile = find_hardware(device, "measurements");
    entry->second = read_cluster(profile.json, profile.origin);
  }
  return entry->second;
}

bool is_product(std::string_view op) { return op == "gemm" || op == "grouped_gemm"; }
bool is_call(std::string_view op) { return op == "collective" || op == "all_to_all"; }
bool is_pass(std::string_view op) { return op == "memory_pass" || op == "quantise"; }

// Gemm pages spell bf16 as their first source does. One set of parameters serves exchanges and collectives.
FamilyKey key_of(const Record& record) {
  const std::string& op = record.op;
  FamilyKey key{record.device, op, record.backend, record.dtype};
  if (is_call(op)) key = {record.device, "collective", record.backend, "all"};
  if (op == "gemm" && record.dtype == "bf16") key.dtype = "bfloat16";
  if (op == "quantise") key.operation = "memory_pass", key.library += "-quantise";
  if ((is_pass(op) || is_product(op)) && !record.kind.empty()) key.library += "-" + record.kind;  // dgrad is another kernel
  return key;
}

double size_of(const Record& record, const std::string& name, const std::string& where) {
  const auto found = record.shape.find(name);
  if (found == record.shape.end()) throw SpecError(where + "#/shape/" + name, "missing");
  if (!(found->second >= 1 && found->second <= 1e18)) throw SpecError(where + "#/shape/" + name, "expected 1 to 1e18");
  return found->second;
}

// Read and written by a quantiser that starts from bf16; both copies come from one read.
Bytes quantised_bytes(const Record& record, double elements, const std::string& where) {
  const std::optional<DType> to = dtype_named(record.dtype);
  if (!to) throw SpecError(where + "#/dtype", fmt::format("\"{}\" is not known", record.dtype));
  return elements * 2 * byte + (record.kind == "both" ? 2 : 1) * bytes(*to, elements);
}

NcclRow call_of(const Record& record, const std::string& where) {
  NcclRow row{.exchange = record.op == "all_to_all", .floating = !record.dtype.starts_with("int")};
  if (!row.exchange) {
    const std::map<std::string, CollectiveKind> kinds{{"all_gather", CollectiveKind::all_gather},
                                                      {"reduce_scatter", CollectiveKind::reduce_scatter},
                                                      {"all_reduce", CollectiveKind::all_reduce}};
    const auto kind = kinds.find(record.kind);
    if (kind == kinds.end()) throw SpecError(where + "#/shape/kind", "expected all_gather, reduce_scatter or all_reduce");
    row.kind = kind->second;
  }
  row.ranks = size_of(record, "ranks", where);
  if (row.ranks < 2) throw SpecError(where + "#/shape/ranks", "expected at least 2");
  row.size = size_of(record, "bytes", where) * byte;
  row.measured = record.seconds.median * second;
  return row;
}

void add_shape(Entry& entry, const Record& record, const std::string& where) {
  const auto size = [&](const char* name) { return size_of(record, name, where); };
  const Seconds measured = record.seconds.median * second;
  if (record.op == "gemm") {
    entry.products.push_back({size("m"), size("n"), size("k"), measured});
  } else if (record.op == "grouped_gemm") {
    entry.grouped.push_back({size("groups"), size("m"), size("n"), size("k"), measured});
  } else if (record.op == "memory_pass") {
    entry.passes.push_back({size("bytes") * byte, measured});
  } else if (record.op == "quantise") {
    entry.passes.push_back({quantised_bytes(record, size("rows") * size("columns"), where), measured});
  } else {
    entry.calls.push_back(call_of(record, where));
  }
}

// Why a record becomes no row; empty if it does.
std::string left_out(const Record& record, const std::optional<Cluster>& machine) {
  if (!is_product(record.op) && !is_call(record.op) && !is_pass(record.op)) return "an op without a family";
  if (!machine) return "no hardware profile of this name";
  if (!record.failed.empty()) return "failed: no time";
  const Gpu* gpu = std::get_if<Gpu>(&machine->device);
  if (gpu == nullptr) return "not a GPU";
  if (!is_product(record.op)) return "";
  const std::optional<DType> format = dtype_named(record.dtype);
  if (!format) return "a dtype that is not known";
  return gpu->dense_peak.of(*format) ? "" : "a dtype that the device has no path for";
}

void add_line(File& file, std::string_view line, const std::string& where) {
  const Json json = parse_json(line, where);
  if (json.is_object() && json.contains("machine")) {
    ObjectReader reader(json, where);
    const Cluster machine = read_cluster(reader.any("machine"), where + "#/machine");
    file.machines[machine.name] = machine;
    return;
  }
  const Record record = read_record(json, where);
  Entry& entry = file.entries[key_of(record)];
  const std::string reason = left_out(record, machine_of(file, record.device));
  if (!reason.empty()) {
    ++entry.skipped[reason];
    return;
  }
  const auto [known, is_new] = file.cases.try_emplace({key_of(record), record.op, record.kind, record.shape}, file.taken.size());
  if (is_new) file.taken.push_back({record, where, {}});
  file.taken[known->second].medians.push_back(record.seconds.median);
}

// One row of what was measured several times: the middle of it.
void add_row(File& file, Taken& taken) {
  taken.record.seconds.median = quantile(std::move(taken.medians), 0.5);
  Entry& entry = file.entries[key_of(taken.record)];
  entry.format = dtype_named(taken.record.dtype).value_or(DType::bf16);
  add_shape(entry, taken.record, taken.where);
}

FamilyData memory_family(const FamilyKey& key, const Gpu& gpu, std::vector<MemoryPass> passes) {
  const BytesPerSecond bandwidth = gpu.hbm_bandwidth.value;
  FamilyData data{.key = key, .parameters = memory_parameters()};
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

// A processor's memory is farther below its arithmetic than a GPU's, and its threads meet in less than a microsecond.
void adapt_to_host(FamilyData& data) {
  constexpr double kFarther = 20;
  std::vector<double> start;
  for (Parameter& parameter : data.parameters) {
    parameter.low /= kFarther;
    if (parameter.unit.starts_with("GB/s")) parameter.high *= kFarther;
    if (parameter.name == "memory") parameter.high = 2;  // of a bandwidth that is itself a measurement
    const bool slow = parameter.name == "memory" || parameter.name == "exchange_link";
    start.push_back(parameter.name == "launch" ? 1 : slow ? 0.1 : parameter.start);
  }
  data.starts.push_back(std::move(start));
}

FamilyData family_of(const FamilyKey& key, Entry entry, const std::optional<Cluster>& machine) {
  FamilyData data{.key = key};
  if (machine && std::holds_alternative<Gpu>(machine->device)) {
    const Gpu& gpu = std::get<Gpu>(machine->device);
    if (!entry.products.empty()) data = gemm_family(key, gpu, entry.format, entry.products);
    if (!entry.grouped.empty()) data = grouped_gemm_family(key, gpu, entry.format, entry.grouped);
    if (!entry.passes.empty()) data = memory_family(key, gpu, std::move(entry.passes));
    if (!entry.calls.empty()) data = collective_family(key.device, machine->fabric.front(), std::move(entry.calls));
    data.key = key;
    if (gpu.architecture == "host") adapt_to_host(data);
  }
  data.key = key;
  for (const auto& [reason, count] : entry.skipped) data.skipped[reason] += count;
  data.check_only = data.observations.measured.size() < (key.operation == "memory_pass" ? kFewestPasses : kFewestRecords);
  return data;
}

}  // namespace

std::string record_text(const Record& r) {
  Json shape = Json::object();
  if (!r.kind.empty()) shape["kind"] = r.kind;
  for (const auto& [name, size] : r.shape) {
    const auto whole = static_cast<std::int64_t>(size);
    if (static_cast<double>(whole) < size) shape[name] = size;
    else shape[name] = whole;
  }
  Json json{{"op", r.op}, {"device", r.device}, {"backend", r.backend}, {"shape", shape}, {"dtype", r.dtype}};
  if (r.failed.empty()) {
    json["seconds"] = samples_json(r.seconds);
    if (r.hot_seconds) json["hot_seconds"] = samples_json(*r.hot_seconds);
  } else {
    json["failed"] = r.failed;
  }
  if (r.disturbed > 0) json["disturbed"] = std::stod(fmt::format("{:.2f}", r.disturbed));
  if (r.clock_hz > 0) json["clock_hz"] = std::stod(fmt::format("{:.4g}", r.clock_hz));
  json["error"] = std::stod(fmt::format("{:.2g}", r.error));
  json["versions"] = r.versions;
  json["run"] = r.run;
  return json.dump();
}

Record read_record(const Json& json, const std::string& where) {
  ObjectReader reader(json, where);
  Record record{.op = reader.string("op"),
                .device = device_name(reader.string("device")),
                .backend = reader.string("backend"),
                .dtype = reader.string("dtype")};
  ObjectReader shape = reader.object("shape");
  for (const std::string& name : shape.keys()) {
    if (name == "kind") record.kind = shape.string("kind");
    else record.shape[name] = shape.number(name, 0, 1e18);
  }
  record.failed = reader.string_or("failed", "");
  if (record.failed.empty()) record.seconds = read_samples(reader.object("seconds"));
  record.disturbed = reader.number_or("disturbed", 0, 1, 0);
  return record;
}

std::vector<Parameter> memory_parameters() { return {{"launch", "us", 3, 0.05, 60}, {"memory", "of HBM", 0.85, 0.01, 1.0}}; }

MemoryFit memory_fit(const std::vector<double>& v) {
  return {.launch = v.at(0) * microsecond, .memory = v.at(1), .source = Source::fitted};
}

std::vector<FamilyData> record_families(std::string_view text, const std::string& origin) {
  File file;
  for (std::size_t line = 1; !text.empty(); ++line) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view record = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (record.find_first_not_of(" \t\r") != std::string_view::npos) {
      add_line(file, record, fmt::format("{}:{}", origin, line));
    }
  }
  for (Taken& taken : file.taken) add_row(file, taken);
  std::vector<FamilyData> list;
  for (auto& [key, entry] : file.entries) list.push_back(family_of(key, std::move(entry), machine_of(file, key.device)));
  return list;
}

}  // namespace moeline
