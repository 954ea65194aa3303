// The machine: a device, a node, a fabric, and how many devices of it the scenario uses.
#pragma once

#include <optional>
#include <string>

#include "spec/device.hpp"
#include "spec/fabric.hpp"

namespace moeline {

struct Node {
  Fact<std::int64_t> devices;
  Fact<BytesPerSecond> host_link;                 // per device, per direction
  std::optional<Fact<std::string>> host_cpu;
  std::optional<Fact<Watts>> power_per_device;    // all-in, where published
};

struct ExternalMemory {                           // of a wafer cluster: holds weights and optimiser states
  std::optional<Fact<Bytes>> capacity;
  std::optional<Fact<double>> optimizer_rate;     // parameters per second
};

struct Price {
  double per_device_hour = 0;
  std::string currency;
  std::string source;
};

struct Cluster {
  std::string name, title;
  Device device;
  std::optional<Node> node;
  std::optional<ExternalMemory> external_memory;
  Fabric fabric;
  std::optional<Price> price;
  std::int64_t devices = 1;
};

Cluster read_cluster(const Json& profile, const std::string& origin);

}  // namespace moeline
