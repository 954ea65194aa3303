// From where the time goes to the figures people compare: the range of a step, throughput, MFU, energy.
#pragma once

#include "plan/evaluate.hpp"

namespace moeline {

// Calibrated rows are families: errors correlated within, independent across. Rows at their bound only have an upper end.
Range range_of(const Breakdown& breakdown);

// Format whose dense peak MFU is measured against: that of the experts, which do most of the arithmetic.
inline DType mfu_format(const Recipe& recipe) { return multiplied(recipe, recipe.expert); }

// Fills everything that follows from result.step and the breakdown. `devices` may differ from the cluster's own count;
// `per_token` are model FLOPs.
void add_rates(const Cluster& cluster, std::int64_t devices, DType format, const TrainWorkload& train, Flops per_token,
               TrainEvaluation& result);

}  // namespace moeline
