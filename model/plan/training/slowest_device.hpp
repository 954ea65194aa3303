// What does a step owe to the slowest of its devices?
//
//   waited = sigma z_N products     sigma: device/rate_spread, of the rate that devices of one kind sustain at the power limit
//                                   z_N: how many deviations the slowest of N lags behind the mean, on average
// In every step each device waits for all others. Products: what the tensor cores bind in the stage that the others wait for;
// memory and network keep their rates. Bounds stay the floors that they are. Source of sigma: docs/decisions/0034.
#pragma once

#include <unordered_map>

#include "plan/step_cost.hpp"
#include "spec/device.hpp"

namespace moeline {

class SlowestDevice {
 public:
  // The row "slowest device" that `step` lacks; no time on one device, or where all are alike.
  BreakdownRow row(const Breakdown& step, const Gpu& gpu, std::int64_t devices);

 private:
  std::unordered_map<std::int64_t, double> lags_;  // z_N by N: integrals, hence kept
};

}  // namespace moeline
