// How far do attention kernels stay below the structural bound? The parameters of gpu/attention, whose equations they
// are named after. Every default is neutral: with it the equations are datasheet bounds (source: bound).
// Source of fitted values: ai-dynamo/aiconfigurator@095f58a and MooreThreads/SimuMax@4dcaae5, both Apache-2.0.
#pragma once

#include <limits>
#include <memory>

#include "cost/op_cost.hpp"
#include "cost/surface.hpp"
#include "units.hpp"

namespace moeline {

inline constexpr double kHard = std::numeric_limits<double>::infinity();  // exponent of maxp that is max

// Whole sequences. Defaults are the datasheet bound.
struct PrefillFit {
  Seconds launch, launch_backward;
  double memory = 1;                   // of HBM bandwidth
  double tensor = 1;                   // of the dense peak, one busy multiprocessor
  double crowding = 0;                 // share of that lost when all are busy
  double l2_speed = 1;                 // of HBM, for passes around the kernel whose bytes fit L2
  double wide = 0, wide_backward = 0;  // share paid of padding qk_dim to the next power of two
  double backward = 1;                 // of the forward rate per product
  Seconds tile;                        // fixed cost of one tile: first loads, mask, output
  double overlap = kHard, overlap_backward = kHard;
  double sag = 0;                          // time added by a full chip that runs long and loses clock
  Seconds sag_after = 1500 * microsecond;  // half of it has come by then
  std::shared_ptr<const Surface> surface;  // over prefill_coordinates; forward, without a window
  Spread spread;
  Source source = Source::bound;
};

// One new token per sequence. Defaults are the datasheet bound.
struct DecodeFit {
  Seconds launch;
  double memory = 1;              // of HBM bandwidth
  double tensor = 1;              // of the dense peak
  Seconds token, chunk;           // one multiprocessor walking one cached token; fixed cost of a chunk
  double shortest_chunk = 1;      // tokens; a cache is split no finer
  double most_chunks = kHard;     // of one cache; FlashInfer plans no more, other kernels have no such cap
  Seconds combine;                // second pass over split results
  Seconds combine_chunk;          // more for every chunk: one block reads them one after the other
  double partial_memory = kHard;  // of HBM bandwidth, for split results; neutral: they stay in L2
  double whole_waves = 0;         // 0: chunks share multiprocessors evenly, 1: in whole waves
  double overlap = kHard;
  Seconds ramp;  // until the stream runs at full rate, at most
  BytesPerSecond ramp_rate = kHard * byte_per_second;
  double query_memory = 1;  // of HBM bandwidth, for q and o
  double reread = 0;        // share of the cache read again by latent kernels of Blackwell with 17..63 heads
  Seconds vector_element;   // whole chip, kernels without tensor cores: one key or value element of one query head
  Seconds vector_token;     // one block of theirs walking one cached token
  Seconds vector_combine;   // their second pass over split results
  double l2_speed = 1, l2_share = 1, l2_sharpness = 8;  // benchmarks only: cache found in L2
  std::shared_ptr<const Surface> surface;               // over decode_coordinates
  Spread spread;
  Source source = Source::bound;
};

}  // namespace moeline
