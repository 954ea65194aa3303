// Measured dense products as families: `gpu,framework,kernel,dtype,m,n,k,latency_us` (ai-dynamo/aiconfigurator).
//
// What was timed: activation quantisation in front of every low-precision product; as many copies of the weight as the
// collector keeps (several still fit L2); a back-to-back loop, so long loops throttle. These are conditions of the
// benchmark and switches here, never of prediction.
#pragma once

#include "cost/calibration.hpp"
#include "fit/csv.hpp"
#include "fit/family.hpp"
#include "spec/device.hpp"

namespace moeline {

bool is_gemm_csv(const Csv& csv);
std::vector<FamilyData> gemm_families(const Csv& csv);

// One product timed with operands that come from HBM and at the burst clock: our own records.
struct GemmRow {
  double m = 0, n = 0, k = 0;
  Seconds measured;
};
// Rows of another origin as one family, without a quantiser. `format` is that of the operands, and the GPU has a path for it.
FamilyData gemm_family(const FamilyKey& key, const Gpu& gpu, DType format, const std::vector<GemmRow>& rows);
// How far the power limit has set in, 0 to 1, over a loop of products that would last so many seconds at the peak.
double sustained_in(double loop);
// The GPU of a carried profile.
Gpu gpu_named(const std::string& device);
// The parameters of a page of operation "gemm" whose timed span has the product alone.
std::vector<Parameter> gemm_parameters();

// Parameter values in the order of the family's parameters -> the structure gpu/gemm predicts with.
GemmFit gemm_fit(const FamilyKey& key, const std::vector<double>& values);

}  // namespace moeline
