// How long does an expert layer take whose exchange, products, activation and combine are one kernel?
//
//   t = start + max(X, M, N) + leak (the two smaller)
//   X = 6 H I rows / F (1 + 1/(2 waves))     rows: of the hottest rank, each expert's padded by half a tile on average
//   M = weights of experts hit / (share of HBM)      N = T k H (dispatch + combine bytes) / link
//   minibatch  T >= 2 C 128 256 / min(2 I, H)        two waves of 128 x 256 tiles over C multiprocessors in every
//   product
// Weights of experts whose rows do not fill the narrowest tile stream as warp decode does. gamma of the hottest of R
// ranks: 1 + sqrt(2 ln R (1 - 1/R) / rows of a rank). Push or pull changes what signalling costs, not the payload.
// Sources: deepseek-ai/DeepGEMM pull request 316 (Mega MoE, FP8 rows x FP4 weights, MIT);
// cursor.com/blog/mixture-of-kittens, 2026-08 (minibatch rule, signalling); which figures are inputs:
// docs/theory/mxfp8.md.
#pragma once

#include "gpu/roofline.hpp"
#include "gpu/warp_decode.hpp"

namespace moeline {

enum class Direction { push, pull };

struct Megakernel {
  DecodeLayer layer;
  double tokens = 0;  // of one rank
  double ranks = 8;
  DType weight = DType::mxfp4, dispatched = DType::mxfp8, combined = DType::bf16;
  double overload = 0;  // of the hottest rank; 0: that of a random router
  double products = 1;  // times the forward arithmetic
  Bytes gradients;      // of weights, read and written
};

struct MegakernelTerms {
  Seconds start, tensor, memory, link, time;
  double rows_per_expert = 0, overload = 1;
};
MegakernelTerms megakernel_terms(const Megakernel& kernel, const Gpu& gpu, BytesPerSecond link);

// As an op of a layer, over the tier that holds the group; a bound where the machine is not calibrated.
MegakernelTerms megakernel_terms(const FusedExperts& experts, const Machine& machine);
OpCost cost(const FusedExperts& experts, const Machine& machine);

// Waves of 128 x 256 tiles that a minibatch of rows gives the narrower product, and what its half-empty last one costs.
double minibatch_waves(double rows, double multiprocessors, double hidden, double width);
double last_wave(double waves);
// Least rows of a minibatch that fill the device twice in both products.
double smallest_minibatch(double multiprocessors, double hidden, double width);
// Signals of one exchange with up to 71 peers of a rack.
Seconds signalling(Direction direction);

}  // namespace moeline
