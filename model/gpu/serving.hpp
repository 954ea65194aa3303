// What do the kernels of a serving stack cost? Attention over a cache, the fused expert layer, a stack's all-reduce and
// DeepEP's low-latency exchange, each by its calibration page.
//
// Of the pages of an expert layer the stack's own in the format asked for are offered, and the quickest is taken, as
// autotuners do; a stack without one borrows from another, a format without one from its nearest. Assumes weights and
// caches come from HBM: a step touches more than L2 keeps.
#pragma once

#include <optional>

#include "cost/serving_fit.hpp"
#include "gpu/roofline.hpp"
#include "net/deepep.hpp"
#include "net/framework_all_reduce.hpp"
#include "ops/served_work.hpp"

namespace moeline {

// The page that prices the layer and its time; no kernel: the bound.
struct ChosenKernel {
  const ExpertKernel* kernel = nullptr;
  OpCost cost;
};
ChosenKernel chosen_kernel(const ServedExperts& experts, const Machine& machine);

// The parameters of attention over a cache, and the calls that price exchanges; a reduction that is no own kernel of the
// stack is NCCL's.
const DecodeFit& decode_fit(const DecodeAttention& attention, const Machine& machine);
struct OwnReduce {
  FrameworkAllReduce call;
  const FrameworkAllReduceFit& fit;
};
std::optional<OwnReduce> own_reduce(const ServedReduce& reduce, const Machine& machine);
struct LowLatencyCall {
  DeepEpLowLatency call;
  const DeepEpLowLatencyFit& fit;
};
LowLatencyCall low_latency_call(const LowLatencyExchange& exchange, const Machine& machine);

OpCost cost(const DecodeAttention& attention, const Machine& machine);
OpCost cost(const ServedExperts& experts, const Machine& machine);
OpCost cost(const ServedReduce& reduce, const Machine& machine);
OpCost cost(const LowLatencyExchange& exchange, const Machine& machine);

}  // namespace moeline
