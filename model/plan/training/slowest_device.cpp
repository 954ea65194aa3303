#include "plan/training/slowest_device.hpp"

#include "routing/imbalance.hpp"

namespace moeline {

BreakdownRow SlowestDevice::row(const Breakdown& step, const Gpu& gpu, std::int64_t devices) {
  const auto [lag, is_new] = lags_.try_emplace(devices);
  if (is_new) lag->second = largest_of_normals(static_cast<double>(devices));
  Seconds products;
  for (const BreakdownRow& row : step.rows()) {
    if (row.bound_by == "tensor" && row.source < Source::bound) products += row.exposed;
  }
  const Seconds waited = gpu.rate_spread.value * lag->second * products;
  return {.name = "slowest device", .phase = "pipeline", .seconds = waited, .exposed = waited, .bound_by = "tensor",
          .source = Source::extrapolated, .largest = waited};
}

}  // namespace moeline
