// Measured products of training, dense and grouped, as families: `gpu,op,m,n,k,groups,layout,accumulate,stage,latency_us`
// (MooreThreads/SimuMax@4dcaae5, Transformer Engine in bf16). Operations "training_gemm" and "grouped_gemm".
//
// m is the rows of one expert. Weight gradients (layout NT, stage bwd_grad_w) add to an fp32 buffer. One machine measured
// both, so their ratio says what grouping costs whatever its clock; its B200 sustains only half of the bf16 peak.
// Groups of the cross-validation are (n, k) pairs. Wall times include host gaps between an expert's launches.
#pragma once

#include "cost/calibration.hpp"
#include "fit/csv.hpp"
#include "fit/family.hpp"
#include "spec/device.hpp"

namespace moeline {

std::vector<FamilyData> training_gemm_families(const Csv& csv);  // of files that is_training_attention_csv accepts

// Grouped products of another origin as one family: `groups` experts of m rows each, forward.
struct GroupedGemmRow {
  double groups = 1, m = 0, n = 0, k = 0;
  Seconds measured;
};
FamilyData grouped_gemm_family(const FamilyKey& key, const Gpu& gpu, DType format, const std::vector<GroupedGemmRow>& rows);

// Parameter values in the order of the family's parameters -> the structure gpu/gemm predicts with.
GemmFit training_gemm_fit(const std::vector<double>& values);
GemmFit grouped_training_gemm_fit(const std::vector<double>& values);

}  // namespace moeline
