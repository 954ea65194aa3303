// How far do the kernels of serving stacks stay below their bounds? What pages say beside those that training shares.
//
// A stack without a page for a format borrows that of another stack; one without any leaves the bound. Defaults neutral.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "cost/attention_fit.hpp"
#include "cost/moe_fit.hpp"
#include "cost/network_fit.hpp"
#include "spec/dtype.hpp"
#include "spec/serving.hpp"

namespace moeline {

// One kernel family of the fused expert layer.
struct ExpertKernel {
  Stack stack = Stack::vllm;
  std::string library;  // "moe_torch_flow_cutlass"
  DType weights = DType::bf16, activations = DType::bf16;
  MoeOpFit fit;
  std::shared_ptr<const Surface> surface;  // over log2 of tokens, weight bytes hit, width of an expert
  Spread spread;
  bool exchanged = false;  // made for rows that come from other ranks
  bool decode = false;     // of those, the masked layout
};

struct LowLatencyFits {
  DeepEpLowLatencyFit dispatch, combine, nodes_dispatch, nodes_combine;
};

// By format of the cache.
struct DecodeFits {
  DecodeFit bf16, fp8;
};

struct ServingFits {
  DecodeFits decode, latent_decode;
  std::array<FrameworkAllReduceFit, kStacks> all_reduce;  // by Stack
  LowLatencyFits low_latency;
  std::vector<ExpertKernel> experts;
};

}  // namespace moeline
