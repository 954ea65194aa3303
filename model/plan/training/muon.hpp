// What does Muon's orthogonalisation of the momentum cost?
//
//   X <- a X + (b A + c A A) X,  A = X X'      five times, for every weight matrix of m x n, m <= n: 2 (2 m^2 n + m^3) FLOPs each
// Whole matrices are handed out to the ranks that share the optimiser's states; each rank's tensor- and expert-parallel shard
// is orthogonalised by itself. Bf16 products. Source: Jordan et al. 2024 (Muon); the distribution is Megatron-Core's.
#pragma once

#include "gpu/roofline.hpp"
#include "memory/footprint.hpp"
#include "ops/decoder.hpp"

namespace moeline {

// All matrices of a stage, of which this device does `share`.
OpCost newton_schulz(const DecoderContext& context, const StageContent& stage, double share, const Machine& machine);

}  // namespace moeline
