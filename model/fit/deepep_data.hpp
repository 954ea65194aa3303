// Measured DeepEP exchanges as families: `gpu,fw_version,nodes,ep,hidden_size,tokens_per_rank,topk,num_experts,[sms,]
// dispatch_us,combine_us` (ai-dynamo/aiconfigurator@095f58a).
//
// What was timed. One node, normal: cached handle, CUDA events around the Python call, so a 26-38 us host floor is
// inside `launch`. Several nodes and low latency: kernel time. Best of many chunk settings. Routing uniform without
// replacement. Groups: hidden sizes on one node, SM budgets (normal) or node counts (low latency) across nodes, where
// one hidden size was measured. Skipped, counted by reason: another version, 8-node normal runs, 12 SMs on 2 nodes.
#pragma once

#include "fit/csv.hpp"
#include "fit/family.hpp"
#include "net/deepep.hpp"

namespace moeline {

bool is_deepep_normal_csv(const Csv& csv);
bool is_deepep_low_latency_csv(const Csv& csv);
// Operations: deepep_normal_dispatch, deepep_normal_combine, deepep_nodes_dispatch, deepep_nodes_combine.
std::vector<FamilyData> deepep_normal_families(const Csv& csv);
// deepep_low_latency_dispatch, deepep_low_latency_combine, deepep_low_latency_nodes_dispatch, ..._combine.
std::vector<FamilyData> deepep_low_latency_families(const Csv& csv);

// Rows of another origin as one family; its operation and dtype say which equations. `rows` is not empty.
struct DeepEpRow {
  double tokens = 0, hidden = 0, top_k = 0, experts = 0;  // tokens of one rank
  double ranks = 1, nodes = 1, sms = 0;                   // sms: the kernels' budget; unused by low latency
  Seconds measured;
};
FamilyData deepep_family(const FamilyKey& key, const std::vector<DeepEpRow>& rows);

// Parameter values in the order of the family's parameters -> the structure net/deepep predicts with.
DeepEpFit deepep_fit(const FamilyKey& key, const std::vector<double>& values);
DeepEpLowLatencyFit deepep_low_latency_fit(const FamilyKey& key, const std::vector<double>& values);

}  // namespace moeline
