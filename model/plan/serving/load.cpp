#include "plan/serving/load.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "units_text.hpp"

namespace moeline {
namespace {

double real(std::int64_t value) { return static_cast<double>(value); }

// Both are inferred from the two read-ahead rows of one benchmark (Hugging Face, "Mixture of Experts in Transformers":
// Qwen1.5-110B on 8 A100: 222 GB in 20.7 s by one process, in 10.1 s by eight). What one core copies between page cache,
// host memory and a device's pageable buffer, and what all of a host's memory sustains of that.
constexpr double kStream = 10.74, kHost = 22.0;  // GB/s

// Files of a checkpoint that an older loader holds in host memory while it copies out of them.
constexpr double kShard = 5;  // GB

struct Rates {
  BytesPerSecond read, copy;  // of one process
  double processes;
};

Rates rates_of(const Cluster& cluster, const LoadPlan& plan, std::optional<BytesPerSecond> storage) {
  const double processes = plan.placement == Placement::device_map ? 1 : real(cluster.devices);
  const BytesPerSecond stream = min(kStream * gigabyte_per_second, kHost * gigabyte_per_second / processes);
  const BytesPerSecond read = storage ? min(stream, *storage / processes) : stream;
  const BytesPerSecond copy = cluster.node ? min(stream, cluster.node->host_link.value) : stream;
  return {read, copy, processes};
}

// Experts' matrices are stacked, and gate joined with up: each time read once and written once.
Seconds packing(const ModelSpec& model, const Gpu& gpu, double devices, const LoadPlan& plan) {
  if (plan.loader == Loader::v4) return {};  // keeps experts apart
  Bytes experts;
  for (const int layer : model.layers) {
    const LayerParameters p = layer_parameters(model, model.kinds[static_cast<std::size_t>(layer)]);
    experts += bytes(model.stored, real(p.experts));
  }
  const double at_once = plan.placement == Placement::device_map ? 1 : devices;
  return 4 * experts / (at_once * gpu.hbm_bandwidth.value);
}

std::optional<Infeasible> too_large(Bytes need, Bytes have, std::string_view what, std::string_view advice) {
  if (need <= have) return std::nullopt;
  return Infeasible{fmt::format("out of memory: {} takes {} of a device's {}", what, format(need), format(have)),
                    std::string(advice), need, have};
}

}  // namespace

Bytes checkpoint_bytes(const ModelSpec& model) {
  const ModelParameters p = parameters(model);
  return bytes(model.stored, real(p.checkpoint - p.scales)) + bytes(DType::fp32, real(p.scales));
}

Bytes conversion_group(const ModelSpec& model) {
  Bytes largest;
  for (const LayerKind& kind : model.kinds) {
    const MoeFfn* moe = std::get_if<MoeFfn>(&kind.ffn);
    if (moe != nullptr) largest = max(largest, bytes(model.stored, 2 * real(moe->experts * moe->width * model.hidden)));
  }
  return largest;
}

std::variant<LoadAnswer, Infeasible> load(const ModelSpec& model, const Cluster& cluster, const LoadPlan& plan,
                                          std::optional<BytesPerSecond> storage) {
  const Gpu* gpu = std::get_if<Gpu>(&cluster.device);
  if (gpu == nullptr) return Infeasible{"checkpoints are loaded by Transformers onto GPUs; a wafer streams its weights", "name a GPU"};
  const Bytes whole = checkpoint_bytes(model), capacity = gpu->hbm_capacity.value;
  const double devices = real(cluster.devices);
  const bool copies_whole = plan.loader == Loader::v4 && plan.placement == Placement::tensor_parallel;
  if (copies_whole) {
    if (auto why = too_large(whole, capacity, "the whole checkpoint, which this loader brings to every rank before it cuts it,",
                             "use device_map, or version 5, which reads every rank's share alone")) return *why;
  }
  const Rates r = rates_of(cluster, plan, storage);
  const double share = copies_whole ? 1 : 1 / r.processes;  // of the checkpoint, by one process
  LoadAnswer answer;
  answer.read = share * whole / r.read;
  answer.copy = share * whole / r.copy;
  answer.pack = packing(model, *gpu, devices, plan);
  if (plan.loader == Loader::v4) {
    // Its threads read shards, and one at a time converts: measured to save 1.5 % of the time.
    answer.host_copy = share * whole / r.copy;
    answer.time = answer.read + answer.host_copy + answer.copy;
    answer.host_peak = min(whole, kShard * gigabyte);
  } else {
    answer.time = plan.ahead ? max(answer.read, answer.copy) : answer.read + answer.copy;
    answer.host_peak = conversion_group(model);
  }
  answer.time += answer.pack;
  const double parts = plan.placement == Placement::tensor_parallel ? r.processes : 1;
  answer.device_peak = whole / devices + (plan.loader == Loader::v5 ? conversion_group(model) / parts : Bytes{});
  if (copies_whole) answer.device_peak = whole;
  if (auto why = too_large(answer.device_peak, capacity, "the model's share with its largest group of experts", "use more devices")) {
    return *why;
  }
  return answer;
}

std::vector<LoadPlan> load_plans() {
  std::vector<LoadPlan> plans;
  for (const Loader loader : {Loader::v5, Loader::v4}) {
    for (const Placement placement : {Placement::device_map, Placement::tensor_parallel}) {
      plans.push_back({loader, placement, true});
      if (loader == Loader::v5 || placement == Placement::device_map) plans.push_back({loader, placement, false});
    }
  }
  return plans;
}

std::string_view name(Loader loader) { return loader == Loader::v4 ? "v4" : "v5"; }
std::string_view name(Placement placement) { return placement == Placement::device_map ? "device_map" : "tensor_parallel"; }

}  // namespace moeline
