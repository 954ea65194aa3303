// How long does softmax(Q K^T) V take on a GPU: over whole sequences, backward, and one new token at a time?
//
//   prefill   t = launch + around + max4( maxp(longest tile, work / multiprocessors) sagging, bytes / (memory BW) )
//   backward  the same over tiles of keys, five products for two, at its own share of the tensor rate
//   decode    t = launch + combine + ramp + maxp( products, walk along a chunk, vector kernel, cache / (memory BW) )
// maxp(a, b) = (a^p + b^p)^(1/p): 1 adds, infinity is max. Assumes fused kernels: scores never reach memory. A causal
// sequence ends with its longest tile, and no other multiprocessor can help: few heads of long sequences are slow.
// Source: fits of ai-dynamo/aiconfigurator@095f58a and MooreThreads/SimuMax@4dcaae5, Apache-2.0;
// docs/theory/attention.md.
#pragma once

#include <array>

#include "cost/attention_fit.hpp"
#include "cost/op_cost.hpp"
#include "ops/work.hpp"
#include "spec/device.hpp"

namespace moeline {

// What the two formats are, and what else runs inside the timed span.
struct PrefillContext {
  DType products = DType::bf16;  // format of the tensor cores
  Bytes around;                  // rotary, cache write and conversion, where they are not ops of their own
};

struct PrefillTerms {
  double tiles = 0;              // of queries (forward) or keys (backward)
  double longest = 0, mean = 0;  // steps of 128: in the longest tile, per multiprocessor
  double busy = 0;               // mean share of multiprocessors at work
  Flops flops;                   // useful ones
  Bytes bytes;                   // of q, k, v and o
  Seconds step;                  // one tile, 128 along the other side
  Seconds tail;                  // longest tile
  Seconds shared;                // all work, spread evenly
  Seconds memory, around;
  Seconds time;
};

struct DecodeTerms {
  double chunks = 0, waves = 0;  // per sequence and kv head; per multiprocessor
  double hit = 0;                // share of the cache found in L2
  bool vector_kernel = false;
  bool clustered = false;        // chunks reduced inside a cluster, not by way of memory
  double value_split = 1;        // blocks that share the values of one chunk
  Bytes cache;
  Flops flops;
  Seconds tensor, walk, vector, memory, ramp, queries, combine;
  Seconds time;
};

// Forward or backward, as attention.backward says.
PrefillTerms prefill_terms(const AttentionCore& attention, const Gpu& gpu, const PrefillFit& fit,
                           const PrefillContext& context = {});

// `cold`: the cache comes from HBM, as in a step whose weights evict it; a benchmark loop finds small caches in L2.
DecodeTerms decode_terms(const DecodeShape& shape, const Gpu& gpu, const DecodeFit& fit, bool cold = true);

// Where a prefill kernel sits on the correction surface of its page: log2 of keys, and of sequences x heads.
std::array<double, 2> prefill_coordinates(const AttentionCore& attention);

// Where a decode kernel sits on the correction surface of its page: log2 of tokens, caches and heads of one cache.
std::array<double, 3> decode_coordinates(const DecodeShape& shape);

OpCost attention_cost(const AttentionCore& attention, const Gpu& gpu, const PrefillFit& fit,
                      const PrefillContext& context = {});
OpCost decode_cost(const DecodeShape& shape, const Gpu& gpu, const DecodeFit& fit, bool cold = true);

// Bytes that a serving framework moves around its prefill kernel: rotary, cache write, conversion to fp8.
Bytes bytes_around(const AttentionCore& attention, DType cache);

}  // namespace moeline
