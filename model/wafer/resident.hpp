// How long does a step take when the whole model lives on the wafer?
//
//   t = (m + L - 1) t_micro       L layers side by side, each on its share of the cores; m micro-batches follow each
//   other SRAM: weights, gradients and optimiser states of the model; layer inputs of the micro-batches under way
// t_micro is the arithmetic of one micro-batch at the rate of all cores: layer i holds 1/L of the arithmetic and 1/L of
// the cores. Weights never cross the edge. Published: this (pipelined) mode is for models below about a billion
// parameters and runs on one system. The formula is ours: GPipe's fill with even stages.
#pragma once

#include "spec/workload.hpp"
#include "wafer/memory.hpp"

namespace moeline {

struct ResidentTerms {
  Seconds work;  // m t_micro
  Seconds fill;  // (L - 1) t_micro
};
ResidentTerms resident_terms(Seconds micro_batch, double micro_batches, double layers);

// One sequence a micro-batch; forward of one, backward of another: layer i keeps 2 (L - i) + 1 inputs, L^2 in all.
Footprint resident_sram(const SramContext& context, const TrainWorkload& train);

}  // namespace moeline
