// How long does softmax(Q K^T) V take on a GPU: over whole sequences, backward, and one new token at a time?
//
//   prefill   t = launch + around + max4( maxp(longest tile, work / multiprocessors) sagging, bytes / (memory BW) )
//   backward  the same over tiles of keys, five products for two, at its own share of the tensor rate
//   decode    t = launch + split + ramp + maxp( products, walk along a chunk, vector kernel, cache / (memory BW) )
// maxp(a, b) = (a^p + b^p)^(1/p): 1 adds, infinity is max. Assumes fused kernels: scores never reach memory. A causal
// sequence ends with its longest tile, and no other multiprocessor can help: few heads of long sequences are slow.
// Source: fits of ai-dynamo/aiconfigurator@095f58a and MooreThreads/SimuMax@4dcaae5, Apache-2.0; docs/theory/attention.md.
#pragma once

#include <limits>

#include "cost/op_cost.hpp"
#include "ops/work.hpp"
#include "spec/device.hpp"

namespace moeline {

inline constexpr double kHard = std::numeric_limits<double>::infinity();  // exponent of maxp that is max

// Whole sequences. Defaults are the datasheet bound.
struct PrefillFit {
  Seconds launch, launch_backward;
  double memory = 1;            // of HBM bandwidth
  double tensor = 1;            // of the dense peak, one busy multiprocessor
  double crowding = 0;          // share of that lost when all are busy
  double l2_speed = 1;          // of HBM, for passes around the kernel whose bytes fit L2
  double wide = 0;              // cost of padding qk_dim to the next power of two; 0 none, 1 all of it
  double backward = 1;          // of the forward rate per product
  Seconds tile, tile_backward;  // fixed cost of one tile: first loads, mask, output
  double overlap = kHard, overlap_backward = kHard;
  double sag = 0;               // time added by a full chip that runs long and loses clock
  Seconds sag_after = 1500 * microsecond;  // half of it has come by then
  double spread = 0;
  Source source = Source::bound;
};

// One new token per sequence. Defaults are the datasheet bound.
struct DecodeFit {
  Seconds launch;
  double memory = 1;            // of HBM bandwidth
  double tensor = 1;            // of the dense peak
  Seconds token, chunk;         // one multiprocessor walking one cached token; fixed cost of a chunk
  double shortest_chunk = 1;    // tokens; a cache is split no finer
  double most_chunks = kHard;   // of one sequence and kv head
  Seconds combine;              // second pass over split results
  double partial_memory = 1;    // of HBM bandwidth, for split results
  double whole_waves = 0;       // 0: chunks share multiprocessors evenly, 1: in whole waves
  double overlap = kHard;
  Seconds ramp;                 // until the stream runs at full rate, at most
  BytesPerSecond ramp_rate = kHard * byte_per_second;
  double query_memory = 1;      // of HBM bandwidth, for q and o
  double reread = 0;            // share of the cache read again by latent kernels of Blackwell with 17..63 heads
  double vector = kHard;        // elements per microsecond of kernels without tensor cores
  double l2_speed = 1, l2_share = 1, l2_sharpness = 8;  // benchmarks only: cache found in L2
  double spread = 0;
  Source source = Source::bound;
};

// What the two formats are, and what else runs inside the timed span.
struct PrefillContext {
  DType products = DType::bf16;  // format of the tensor cores
  Bytes around;                  // rotary, cache write and conversion, where they are not ops of their own
};

// Cached keys and values of one new token per sequence. Latent: keys and values are one row, shared by all heads.
struct DecodeShape {
  double sequences = 0, heads = 0, kv_heads = 0;
  double keys = 0;               // cached tokens per sequence
  double qk_dim = 0, value_dim = 0;
  DType cache = DType::bf16, products = DType::bf16;
  bool latent = false;
};

struct PrefillTerms {
  double tiles = 0;              // of queries (forward) or keys (backward)
  double longest = 0, mean = 0;  // steps of 128: in the longest tile, per multiprocessor
  double busy = 0;               // mean share of multiprocessors at work
  Flops flops;                   // useful ones
  Bytes bytes;                   // of q, k, v, o and what is around
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

OpCost attention_cost(const AttentionCore& attention, const Gpu& gpu, const PrefillFit& fit,
                      const PrefillContext& context = {});
OpCost decode_cost(const DecodeShape& shape, const Gpu& gpu, const DecodeFit& fit, bool cold = true);

// Bytes that a serving framework moves around its prefill kernel: rotary, cache write, conversion to fp8.
Bytes bytes_around(const AttentionCore& attention, DType cache);

}  // namespace moeline
