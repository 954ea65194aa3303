// What does one op cost on a GPU of a cluster? One overload per kind of work.
#pragma once

#include <algorithm>
#include <string_view>
#include <vector>

#include "cost/calibration.hpp"
#include "gpu/cost_memo.hpp"
#include "ops/step.hpp"
#include "ops/work.hpp"
#include "spec/device.hpp"
#include "spec/fabric.hpp"

namespace moeline {

struct Machine {
  const Gpu& gpu;
  const Fabric& fabric;
  const Calibration& calibration;
  std::vector<std::string_view> free{};  // what if these breakdown groups took no time?
  CostMemo* memo = nullptr;              // of this machine, where many steps are asked about
};

inline bool is_free(const Machine& machine, std::string_view group) {
  return std::find(machine.free.begin(), machine.free.end(), group) != machine.free.end();
}

// Products per (query, key) pair that a causal or windowed mask leaves, per head and sequence.
double attended_pairs(const AttentionCore& attention);

// Always bf16 tensor cores; equations in gpu/attention.
OpCost cost(const AttentionCore& attention, const Machine& machine);
struct ScanTerms {
  Flops flops;
  Bytes bytes;
  Seconds tensor, memory;
};
ScanTerms scan_terms(const StateScan& scan, const Machine& machine);
OpCost cost(const StateScan& scan, const Machine& machine);
// t = launch + bytes / (memory BW)
OpCost cost(const Elementwise& pass, const Machine& machine);
OpCost cost(const Permute& pass, const Machine& machine);
OpCost cost(const Collective& collective, const Machine& machine);  // net/collectives, remembered

OpCost cost(const Work& work, const Machine& machine);

}  // namespace moeline
