#include "plan/bill.hpp"

#include <fmt/format.h>

namespace moeline {
namespace {

std::optional<Watts> all_in_power(const Cluster& cluster) {
  if (const Wafer* wafer = std::get_if<Wafer>(&cluster.device)) return wafer->power_cap.value;
  if (cluster.node && cluster.node->power_per_device) return cluster.node->power_per_device->value;
  return std::nullopt;
}

}  // namespace

Bill bill(const Scenario& scenario, const TrainEvaluation& train) {
  const TrainWorkload& workload = std::get<TrainWorkload>(scenario.workload);
  const Cluster& cluster = scenario.cluster;
  const auto devices = static_cast<double>(cluster.devices);
  Bill sums{.tokens = static_cast<double>(workload.global_batch) * static_cast<double>(workload.sequence)};
  if (cluster.price) {
    sums.money = cluster.price->per_device_hour * devices * train.step.value.in(second) / 3600;
    sums.currency = cluster.price->currency;
  }
  if (const std::optional<Watts> power = all_in_power(cluster)) sums.energy = *power * devices * train.step.value;
  return sums;
}

std::optional<double> Bill::money_per_million_tokens() const {
  if (!money) return std::nullopt;
  return *money / tokens * 1e6;
}

std::optional<double> Bill::kilowatt_hours_per_million_tokens() const {
  if (!energy) return std::nullopt;
  return energy->in(kilowatt_hour) / tokens * 1e6;
}

std::string missing_price(const Cluster& cluster) {
  if (cluster.price) return "";
  return fmt::format(
      "the profile {} states no price; give yours: --set "
      "/hardware/price='{{\"per_device_hour\": 2.5, \"currency\": \"USD\", \"source\": \"our contract\"}}'",
      cluster.name);
}

std::string missing_power(const Cluster& cluster) {
  if (all_in_power(cluster)) return "";
  return fmt::format(
      "the profile {} states no all-in power; give the node's share of one device: --set "
      "/hardware/node/power_per_device='{{\"value\": \"1.3 kW\", \"source\": \"our meter\"}}'",
      cluster.name);
}

}  // namespace moeline
