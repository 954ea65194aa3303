// Where do a token's k choices land, and how uneven is it?
//
//   experts hit by T tokens          E (1 - (1 - k/E)^T)
//   domains hit by one token         sum over domains of P(at least one of its k experts lives there), choices without
//                                    replacement, restricted to the groups that group-limited routing leaves open
//   overload of the hottest rank     1 + sqrt(2 ln R (1 - 1/R) / (T k / R)) for independent uniform choices:
//                                    the floor no router without balancing gets below (extreme value of R Poissons)
// Sources: hypergeometric counting as in DeepEP's planner; the overload floor is ours (docs/theory/routing.md).
#pragma once

#include "spec/llm.hpp"
#include "spec/routing.hpp"

namespace moeline {

// How a micro-batch's tokens load the experts of one device group.
struct ExpertLoad {
  double overload = 1;      // hottest rank over the mean
  double experts_hit = 0;   // expected distinct experts with at least one token, on one rank
};

double expected_experts_hit(double experts, double top_k, double tokens);

// Expected number of the `domains` (equal shares of the experts, in order) that one token's choices touch.
double expected_domains_hit(const MoeFfn& moe, double domains);

// `tokens` enter the whole expert-parallel group; `ranks` share the experts.
ExpertLoad expert_load(const MoeFfn& moe, const Routing& routing, double tokens, double ranks);

}  // namespace moeline
