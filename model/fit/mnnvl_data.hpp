// Measured all-to-alls of an NVL72 domain as families: `gpu,kernel,op,dtype,tokens_per_rank,hidden_size,topk,
// num_experts,ep,distribution,latency_us` (TensorRT-LLM rows of ai-dynamo/aiconfigurator@095f58a).
//
// Routing of the benchmark is "balanced": every token reaches min(k, EP) ranks, not the random expectation. Dispatch
// sends rows in the row's format and 8 bytes a choice; nvfp4 is two tensors, 0.5625 B an element. Combine is BF16
// whatever the column says, unless low_precision. Groups: EP, so held-out errors are those of an EP never seen.
// Skipped: one token a rank (3 warm-ups: cold, 60 us among neighbours of 14), prepare steps, rows without a time.
#pragma once

#include "fit/csv.hpp"
#include "fit/family.hpp"
#include "net/mnnvl.hpp"

namespace moeline {

bool is_mnnvl_csv(const Csv& csv);
// Operations mnnvl_dispatch, mnnvl_combine, mnnvl_combine_low_precision; libraries trtllm-one-sided, trtllm-two-sided.
std::vector<FamilyData> mnnvl_families(const Csv& csv);

// Bytes of one row in flight; `bytes_per_element` with its share of block scales. Dispatch adds ids and weights.
Bytes mnnvl_dispatch_row(double hidden, double bytes_per_element, double top_k);
Bytes mnnvl_combine_row(double hidden, double bytes_per_element);

// Parameter values in the order of the family's parameters -> the structure net/mnnvl predicts with.
MnnvlFit mnnvl_fit(const std::vector<double>& values);

}  // namespace moeline
