// How long does a matrix product take on a GPU's tensor cores?
//
//   t = launch + max(X, Y) + leak min(X, Y) + split      smallest over tile shapes and splits along k
//   X = waves x (2 t_m t_n k / (tensor F/S) or operand loads, plus the epilogue)     waves = ceil(tiles / S)
//   Y = bytes of A, B and C / (memory BW)
// A dense time is multiplied by the page's correction surface over log2 of (m, n, k), where it has one.
// Grouped products count tiles per expert: an expert with one row costs a whole tile, one without rows nothing.
// The library picks the best of its tiles, and so does the model: that is why one set of parameters fits small and
// large shapes. Source: structure and parameters as fitted on 54,000 measured GEMMs; docs/theory/gemm.md.
#pragma once

#include "cost/calibration.hpp"
#include "ops/work.hpp"
#include "spec/device.hpp"

namespace moeline {

// The winning candidate, with the numbers that made it win; `explain` prints the same struct.
struct GemmTerms {
  double tile_m = 0, tile_n = 0, split = 1;
  double tiles = 0, waves = 0;
  Flops flops;  // useful ones
  Bytes bytes;
  Seconds tensor;  // X
  Seconds memory;  // Y
  Seconds launch, leak, splitting, experts;  // what is added to max(X, Y)
  double correction = 1;                     // of the surface; multiplies the sum
  Seconds time;
};

// What a benchmark does that a step does not: operands still in L2, clocks not yet throttled.
struct GemmConditions {
  double miss = 1;       // share of the traffic that reaches HBM
  double sustained = 1;  // 1: the power limit has been reached
  double uneven = 0;     // rows of an expert are drawn evenly from m (1 - uneven) to m (1 + uneven)
};

GemmTerms gemm_terms(const Gemm& gemm, const Gpu& gpu, const GemmFit& fit, GemmConditions conditions = {});
GemmTerms gemm_terms(const GroupedGemm& gemm, const Gpu& gpu, const GemmFit& fit, GemmConditions conditions = {});

OpCost cost(const Gemm& gemm, const Gpu& gpu, const GemmFit& fit);
OpCost cost(const GroupedGemm& gemm, const Gpu& gpu, const GemmFit& fit);

}  // namespace moeline
