// DeepEP's own published tables as families that are only checked: `gpu,mode,op,payload_dtype,ep,nodes,tokens_per_rank,
// hidden,topk,num_experts,topk_groups,bottleneck_link,bottleneck_gbps,latency_us,version` (deepseek-ai/DeepEP README).
//
// Normal kernels print a bandwidth. Its bytes are the rows received over the link named, own rank or node included:
//   t = T b R / BW (NVLink, R distinct ranks a token reaches)     t = T b H / BW (RDMA, H distinct nodes)
// so "RDMA bandwidth" may exceed the NIC, and one node forwards over NVLink as well. The kernels got 24 SMs. Low
// latency prints times; experts are not stated there: 256 taken, the model the page names. Of three dates the last is
// used, the generation whose kernels the calibration knows. One call a row, a few rows a family: check only.
#pragma once

#include "fit/csv.hpp"
#include "fit/family.hpp"

namespace moeline {

bool is_deepep_published_csv(const Csv& csv);
std::vector<FamilyData> deepep_published_families(const Csv& csv);

}  // namespace moeline
