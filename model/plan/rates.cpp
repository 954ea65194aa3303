#include "plan/rates.hpp"

#include <cmath>

namespace moeline {
namespace {

// Standard normal quantile of 90 %.
constexpr double kNinety = 1.2816;
// How far above its bounds a training step lies: 60 dense runs published by Megatron-Bridge (H100 to GB300, fp8 to nvfp4)
// took 1.6 to 2.1 times (p10 to p90), 31 runs of SimuMax on one B200 node 2.1 to 2.8 times, what the bounds add up to.
// A part priced by its bound enters the answer as that floor, and the upper end of the range at this factor.
constexpr double kAboveBound = 2.6;

// What a step holds beside its kernels: launch gaps, contention, other software. 52 published dense runs take between 0.94 and
// 1.09 times the prediction from kernels calibrated elsewhere (p10 to p90, none of them fitted), which alone would say
// 0.06; older stacks are further off, no MoE step is among them, so the constant stays where the first such comparison put it.
constexpr double kStepSpread = 0.13;

const TensorPeaks& dense_peak(const Device& device) {
  return std::visit([](const auto& d) -> const TensorPeaks& { return d.dense_peak; }, device);
}

Watts power_per_device(const Cluster& cluster) {
  if (cluster.node && cluster.node->power_per_device) return cluster.node->power_per_device->value;
  return std::visit([](const auto& d) { return d.power_cap.value; }, cluster.device);
}

}  // namespace

Range range_of(const Breakdown& breakdown) {
  Seconds floor, fitted;
  double variance = 0;
  for (const BreakdownRow& row : breakdown.rows()) {
    if (row.source >= Source::bound) {
      floor += row.exposed;
    } else {
      fitted += row.exposed;
      variance += std::pow(row.exposed.in(second) * row.spread, 2);
    }
  }
  const double kernels = fitted > Seconds{} ? std::sqrt(variance) / fitted.in(second) : 0;
  const double sigma = fitted > Seconds{} ? std::hypot(kernels, kStepSpread) : 0;
  const double factor = std::exp(kNinety * sigma);
  return {.value = fitted + floor, .p10 = fitted / factor + floor, .p90 = fitted * factor + kAboveBound * floor};
}

void add_rates(const Cluster& cluster, std::int64_t device_count, DType format, const TrainWorkload& train, Flops per_token,
               TrainEvaluation& result) {
  const double tokens = static_cast<double>(train.global_batch) * static_cast<double>(train.sequence);
  const auto devices = static_cast<double>(device_count);
  result.tokens_per_second = tokens / result.step.value.in(second);
  result.tokens_per_second_per_device = result.tokens_per_second / devices;
  result.model_rate = tokens * per_token / devices / result.step.value;
  result.mfu = result.model_rate / dense_peak(cluster.device).of(format)->value;
  result.mfu_format = tensor_path(format);
  result.power_per_device = power_per_device(cluster);
  result.tokens_per_second_per_kilowatt = result.tokens_per_second_per_device / result.power_per_device.in(kilowatt);
  for (const BreakdownRow& row : result.breakdown.rows()) {
    if (row.lane != Lane::network) continue;
    result.communication += row.seconds;
    result.exposed_communication += row.exposed;
  }
}

}  // namespace moeline
