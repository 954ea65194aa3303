// What a serving stack's fused expert layer loses against its bounds: the parameters of gpu/moe_op.
//
// Neutral defaults: with them the equation is a datasheet bound. One set per kernel family and device.
#pragma once

#include "cost/network_fit.hpp"
#include "cost/op_cost.hpp"
#include "units.hpp"

namespace moeline {

struct MoeOpFit {
  Seconds launch;           // of the whole chain of kernels
  double tensor = 1;        // of the dense peak, in a full tile
  double memory = 1;        // of HBM bandwidth, for expert weights
  SecondsPerByte load;      // one multiprocessor reading operands
  Seconds k_step;           // latency of one 128-byte step along k
  SecondsPerByte epilogue;  // one multiprocessor writing its tile
  double leak = 0;          // part of the smaller bound that is not hidden
  double resident = 0;      // share of L2 that keeps the weights; benchmarks that repeat one layer only
  double least_rows = 1;    // rows of a tile that the tensor cores compute at least
  double row_passes = 1;    // element-wise kernels over rows: times the bytes they have to move
  double token_passes = 1;  // the same of those over tokens: quantising the input, reducing to the output
  Seconds token, row;       // routing and sorting a token, permuting and reducing a row, on one multiprocessor
  Seconds routing;          // routing leaves its one-block form: all of it from 64 tokens on
  Seconds expert;           // tables of one local expert, idle or not
  double wide = 1;          // on load, once tokens outnumber local experts and a tuned kernel takes larger tiles
  double spread = 0;
  Source source = Source::bound;
};

}  // namespace moeline
