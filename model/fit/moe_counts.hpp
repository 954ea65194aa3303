// What did the measured rank of an expert-layer benchmark really compute?
//
// The collectors' own routing (ai-dynamo/aiconfigurator, collector/), with what it does beside the point: five draws of
// the power law are averaged; a group-limited router given tied scores opens the first groups and fills up with experts
// 0..3; one path folds the choices of other ranks onto expert 0 with weight 0; DeepEP's prefill rounds each expert up
// to 128 rows. None of this is physics, so it stays out of gpu/moe_op.
#pragma once

#include <map>
#include <string>
#include <tuple>

#include "gpu/moe_op.hpp"
#include "routing/sampler.hpp"

namespace moeline {

// What the router of the benchmark made of the sampler's choices.
enum class RoutedAs {
  wished,         // the sampler's choices
  group_limited,  // 8 groups, 4 kept, ties to the lowest number; groups of one expert: all choices fall on expert 0
  folded,         // tokens of this rank only, their choices elsewhere folded onto expert 0
  received,       // DeepEP prefill: every expert padded to 128 rows
  masked          // DeepEP decode: a slot per expert, nothing but the rows received
};

// Remembers what it counted: a file repeats few combinations on many shapes. Exponent 0: balanced.
class MoeCounts {
 public:
  const MoeLoad& of(const TokenBatch& batch, double exponent, RoutedAs routed);

 private:
  std::map<std::tuple<std::int64_t, std::int64_t, std::int64_t, std::int64_t, double, RoutedAs>, MoeLoad> known_;
};

}  // namespace moeline
