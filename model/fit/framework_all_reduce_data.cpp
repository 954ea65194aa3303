#include "fit/framework_all_reduce_data.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <memory>

#include "fit/device_names.hpp"
#include "spec/catalogue.hpp"
#include "spec/cluster.hpp"

namespace moeline {
namespace {

enum At : std::size_t { one_launch, hop, one_link, two_launch, two_link, walk, switch_launch, switch_link };

// Only vLLM reduces in the switch, and only its rows tell the walk from the link (taken out rather than pinned).
std::vector<Parameter> parameters(AllReduceLibrary library) {
  std::vector<Parameter> list{{"one_launch", "us", 4, 0.5, 20},
                              {"hop", "us per peer", 0.1, 0.005, 2},
                              {"one_link", "of the link", 0.6, 0.05, 1},
                              {"two_launch", "us", 9, 0.5, 40},
                              {"two_link", "of the link", 0.7, 0.05, 1}};
  if (library == AllReduceLibrary::vllm) {
    list.push_back({"walk", "GB/s", 300, 30, 2000});
    list.push_back({"switch_launch", "us", 9, 0.5, 40});
    list.push_back({"switch_link", "of the link", 0.5, 0.05, 1});
  }
  return list;
}

std::optional<AllReduceLibrary> library_of(std::string_view framework) {
  if (framework == "trtllm") return AllReduceLibrary::trtllm;
  if (framework == "sglang") return AllReduceLibrary::sglang;
  if (framework == "vllm") return AllReduceLibrary::vllm;
  return std::nullopt;
}

using Calls = std::vector<FrameworkAllReduce>;

struct Machine {
  BytesPerSecond link;
  bool blackwell = false;
};
Machine machine_named(const std::string& device) {
  const Document profile = find_hardware(device, "measurements");
  const Cluster cluster = read_cluster(profile.json, profile.origin);
  return {device_bandwidth(cluster.fabric.front()), std::get<Gpu>(cluster.device).architecture.starts_with("sm_10")};
}

double predicted_us(const Calls& calls, std::span<const double> v, std::size_t index) {
  return framework_all_reduce_terms(calls[index], framework_all_reduce_fit({v.begin(), v.end()})).time.in(microsecond);
}

// Why a row is left out, or nothing.
std::string reason_to_skip(const Csv& csv, std::size_t i, const FrameworkAllReduce& call) {
  if (csv.text(i, "backend").ends_with("_eager")) return "eager: host launch and a copy of the input, not the kernel";
  if (csv.text(i, "dtype") != "bfloat16") return "not bfloat16: message_elements are of unknown size";
  if (call.bytes > largest(call)) return "larger than the framework's own kernels take: NCCL runs";
  return {};
}

// What must be unseen together: a rank count. The switch was measured at 8 ranks only, so there it is a factor 4 of
// size.
int group_of(const FrameworkAllReduce& call) {
  constexpr int kRankGroups = 8;
  const bool in_switch = framework_all_reduce_terms(call, {}).kernel == AllReduceKernel::in_switch;
  return in_switch ? kRankGroups + static_cast<int>(std::log2(call.bytes.in(byte)) / 2)
                   : static_cast<int>(std::log2(call.ranks));
}

}  // namespace

FrameworkAllReduceFit framework_all_reduce_fit(const std::vector<double>& v) {
  FrameworkAllReduceFit fit;
  fit.one_launch = v[At::one_launch] * microsecond;
  fit.hop = v[At::hop] * microsecond;
  fit.one_link = v[At::one_link];
  fit.two_launch = v[At::two_launch] * microsecond;
  fit.two_link = v[At::two_link];
  if (v.size() > At::switch_launch) {
    fit.walk = 1 * second / (v[At::walk] * gigabyte);
    fit.switch_launch = v[At::switch_launch] * microsecond;
    fit.switch_link = v[At::switch_link];
  }
  fit.source = Source::fitted;
  return fit;
}

bool is_framework_all_reduce_csv(const Csv& csv) {
  return csv.has_all({"gpu", "framework", "kernel", "backend", "dtype", "num_gpus", "message_elements", "latency_us"});
}

std::vector<FamilyData> framework_all_reduce_families(const Csv& csv) {
  std::map<FamilyKey, std::pair<std::shared_ptr<Calls>, FamilyData>> families;
  std::map<std::string, Machine> machines;
  for (std::size_t i = 0; i < csv.rows(); ++i) {
    const std::string device = device_name(csv.text(i, "gpu"));
    const FamilyKey key{device, "framework_all_reduce", std::string(csv.text(i, "framework")), "bf16"};
    const std::optional<AllReduceLibrary> library = library_of(key.library);
    auto& [calls, data] = families[key];
    if (!calls) {
      calls = std::make_shared<Calls>();
      data.key = key;
      data.parameters = parameters(library.value_or(AllReduceLibrary::trtllm));
    }
    const auto ranks = csv.number(i, "num_gpus"), elements = csv.number(i, "message_elements"),
               t = csv.number(i, "latency_us");
    if (!library || !ranks || !elements || !t || !(*t > 0)) {
      ++data.skipped[library ? "missing value" : "a framework whose kernels are not known"];
      continue;
    }
    if (!machines.contains(device)) machines.emplace(device, machine_named(device));
    const Machine& machine = machines.at(device);
    const FrameworkAllReduce call{*library, *elements * 2 * byte, *ranks, machine.link, machine.blackwell};
    if (const std::string reason = reason_to_skip(csv, i, call); !reason.empty()) {
      ++data.skipped[reason];
      continue;
    }
    calls->push_back(call);
    data.observations.measured.push_back(*t);
    data.group.push_back(group_of(call));
    data.size.push_back(call.bytes.in(byte));
  }
  std::vector<FamilyData> list;
  for (auto& [key, entry] : families) {
    auto& [calls, data] = entry;
    if (!calls->empty()) {
      const auto [low, high] = std::ranges::minmax(data.size);
      data.domain = fmt::format("2..8 ranks, {:.0f} B..{:.0f} MB", low, high / 1e6);
    }
    data.observations.predicted = [rows = calls](std::span<const double> v, std::size_t index) {
      return predicted_us(*rows, v, index);
    };
    list.push_back(std::move(data));
  }
  return list;
}

}  // namespace moeline
