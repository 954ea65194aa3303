// Measured expert layers of serving stacks as families:
// `gpu,framework,kernel,dtype,num_tokens,hidden_size,inter_size,topk, num_experts,ep,distribution,latency_us`, with
// `tp` (one rank of a layer) or with `phase` (DeepEP with large groups).
//
// Source: NVIDIA aiconfigurator database (docs/guide/measurements.md). Operation "moe_op", library = the kernel's name;
// of DeepEP rows with its phase: "deepepmoe-context" is an eager prefill whose floor is the host's launches,
// "-generation" a masked decode inside a graph. num_tokens are those of the whole group; what one rank does with them
// is fit/moe_counts. Groups of the cross-validation are model shapes; where fewer than three were measured, the cuts
// (tp, ep) of a shape.
#pragma once

#include <span>

#include "cost/moe_fit.hpp"
#include "fit/csv.hpp"
#include "fit/family.hpp"

namespace moeline {

bool is_moe_op_csv(const Csv& csv);
std::vector<FamilyData> moe_op_families(const Csv& csv);

// Parameter values in the order of the family's parameters -> the structure gpu/moe_op predicts with.
MoeOpFit moe_op_fit(std::span<const double> values);

}  // namespace moeline
