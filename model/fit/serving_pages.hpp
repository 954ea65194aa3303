// What the pages of a device make of the kernels of serving stacks.
//
// Decode attention by format of the cache, all-reduce by stack, low-latency exchanges, and every page of the fused expert
// layer that a served model can use: gated experts, read by (weights, activations). Pages are in order of their lenders; of
// the same library and format the nearest counts.
#pragma once

#include <memory>
#include <vector>

#include "cost/serving_fit.hpp"
#include "fit/lending.hpp"

namespace moeline {

std::shared_ptr<const ServingFits> serving_fits(const std::vector<Page>& pages);

}  // namespace moeline
