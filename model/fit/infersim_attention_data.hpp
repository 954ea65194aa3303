// Measured attention on H800 and H20 as families: "decode" (flashinfer), "mla_decode" (flashmla), "prefill" (fa3).
//
// alibaba/InferSim@f2293da, Apache-2.0: the kernel alone, H800 and H20, bf16 with a cache in bf16 or fp8. Pages have
// the parameters of gpu/attention without the kernels of TensorRT-LLM that avoid tensor cores. Groups are head
// configurations; families with one of them are grouped by context, since one long sequence, split over the chip, and
// 512 are different regimes that folds must both see.
#pragma once

#include "fit/csv.hpp"
#include "fit/family.hpp"

namespace moeline {

bool is_infersim_attention_csv(const Csv& csv);
std::vector<FamilyData> infersim_attention_families(const Csv& csv);

}  // namespace moeline
