// Measured all-reduces of serving frameworks as families: `gpu,framework,fw_version,kernel,backend,dtype,num_gpus,
// message_elements,latency_us` (ai-dynamo/aiconfigurator@095f58a). Operation "framework_all_reduce".
//
// message_elements are BF16: two bytes each, of one rank. Used: rows of a captured graph (5 calls a replay). Skipped,
// counted by reason: eager launches, which time the host and a copy of the input; messages that the framework hands to
// NCCL, which the collective family prices. One family a library and device; a group is a rank count,
// except in the switch, which was measured at 8 ranks only: there it is a factor 4 of size.
#pragma once

#include "fit/csv.hpp"
#include "fit/family.hpp"
#include "net/framework_all_reduce.hpp"

namespace moeline {

bool is_framework_all_reduce_csv(const Csv& csv);
std::vector<FamilyData> framework_all_reduce_families(const Csv& csv);

// Parameter values in the order of the family's parameters -> the structure net/framework_all_reduce predicts with.
FrameworkAllReduceFit framework_all_reduce_fit(const std::vector<double>& values);

}  // namespace moeline
