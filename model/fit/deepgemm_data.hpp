// Measured DeepGEMM kernels as families: "gemm", "grouped_gemm" (contiguous: prefill, training) and
// "grouped_gemm_masked" (decode), library "deepgemm", dtype "fp8_block".
//
// alibaba/InferSim@f2293da (Apache-2.0): H800 and H20; deepseek-ai/DeepGEMM README (MIT): H800. The kernel alone, cold
// operands, no quantiser. InferSim draws every expert's rows around the stated number; how many it really timed follows
// from the utilisation printed beside the time: rows = utilisation x peak x time / (2 experts n k). Of the README only the
// newest release counts, too few rows to fit but a check from elsewhere.
#pragma once

#include "cost/calibration.hpp"
#include "fit/csv.hpp"
#include "fit/family.hpp"

namespace moeline {

bool is_infersim_gemm_csv(const Csv& csv);
bool is_infersim_grouped_csv(const Csv& csv);
bool is_deepgemm_csv(const Csv& csv);
std::vector<FamilyData> infersim_gemm_families(const Csv& csv);
std::vector<FamilyData> infersim_grouped_families(const Csv& csv);
std::vector<FamilyData> deepgemm_families(const Csv& csv);

// Parameter values of a grouped page in their order, of this library or of training (the same parameters, other tiles).
GemmFit grouped_gemm_fit(const FamilyKey& key, const std::vector<double>& values);

}  // namespace moeline
