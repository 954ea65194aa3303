// What kernels of serving stacks are asked to do: attention of new tokens over a cache, experts fused into one layer, and
// the exchanges that only decoding uses. Sizes only; no hardware in it.
#pragma once

#include <array>

#include "spec/dtype.hpp"
#include "spec/fabric.hpp"
#include "spec/llm.hpp"
#include "spec/serving.hpp"
#include "units.hpp"

namespace moeline {

// Cached keys and values of one new token per sequence. Latent: keys and values are one row, shared by all heads.
struct DecodeShape {
  double sequences = 0, heads = 0, kv_heads = 0;
  double keys = 0;               // cached tokens per sequence
  double qk_dim = 0, value_dim = 0;
  DType cache = DType::bf16, products = DType::bf16;
  bool latent = false;
};

// New tokens of every sequence against its cache; drafts that are verified make more than one.
struct DecodeAttention {
  DecodeShape shape;
  double queries = 1;
};

// The layer as one rank holds it.
struct MoeOp {
  double hidden = 0, inter = 0;  // inter after the tensor-parallel cut
  bool gated = true;
  DType activations = DType::bf16;  // as the tensor cores read them; decides their peak
  double weight_bits = 16;          // per weight, scales included
  double up_columns() const { return gated ? 2 * inter : inter; }
};

// What the router sends to this rank. Expected values need not be whole.
struct MoeLoad {
  static constexpr std::array<double, 6> kHeights{8, 16, 32, 64, 128, 256};
  double tokens = 0;              // that enter the op (all of the group, or those that were sent here)
  double tokens_here = 0;         // of them, with an expert on this rank
  double rows = 0;                // pairs of token and local expert
  double element_rows = 0;        // rows the element-wise kernels touch; some stacks touch those of other ranks too
  double hit = 0, experts = 0;    // local experts with rows, and all
  std::array<double, 6> tiles{};  // sum over experts of ceil(rows / height)
};

// A rank's experts in one fused layer of a stack.
struct ServedExperts {
  MoeOp op;
  MoeLoad load;
  DType weights = DType::bf16;
  Stack stack = Stack::vllm;
  bool exchanged = false;  // rows arrive from other ranks, sorted by expert
  bool decode = false;     // of those: a slot for every expert
};

// All-reduce by a stack's own kernels; those it hands on are NCCL's.
struct ServedReduce {
  Bytes bytes;  // of one rank
  Group group;
  Stack stack = Stack::vllm;
};

// DeepEP's low-latency kernels: every copy travels by itself.
struct LowLatencyExchange {
  double tokens = 0;  // of one rank, before routing
  double hidden = 0;
  MoeFfn moe;
  Group group;
  double overload = 1;
  bool combine = false;
};

}  // namespace moeline
