// What does one op cost on the core array of a wafer?
//
//   products     t = flops / (F eta)         SRAM feeds two operands and takes a result every cycle: it never binds
//   them passes       t = bytes / SRAM bandwidth  norms, activations, rows moved by the expert mask
// The op list is that of the GPUs. Experts run one after another over all E, each on its T k / E rows: the sum of their
// arithmetic is that of the rows. Nothing is exchanged between devices inside a layer. Ours; eta is assumed.
#pragma once

#include <string_view>
#include <vector>

#include "cost/op_cost.hpp"
#include "ops/work.hpp"
#include "spec/device.hpp"
#include "spec/wafer_options.hpp"

namespace moeline {

struct CoreArray {
  const Wafer& wafer;
  WaferConduct conduct;
  std::vector<std::string_view> free{};  // what if these breakdown groups took no time?

  FlopsPerSecond rate() const { return conduct.efficiency * wafer.dense_peak.bf16->value; }
};

OpCost cost(const Work& work, const CoreArray& array);
bool is_free(const CoreArray& array, std::string_view group);

}  // namespace moeline
