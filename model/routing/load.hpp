// Where do a token's k choices land, and how uneven is it?
//
//   experts hit by T tokens          E (1 - (1 - k/E)^T)
//   domains hit by one token         sum over domains of P(at least one of its k experts lives there), choices without
//                                    replacement, restricted to the groups that group-limited routing leaves open
//   random overload                  1 + z_R sqrt(T v R/(R-1)) / (T k / R): the floor no router without balancing gets
//                                    below; v the variance of one token's rows on a rank, z_R the expected largest of R
//                                    standard normals
//   overload of drawn popularities   mean over layers of the hottest rank's share over the mean, after the balancer; chance
//                                    is added in quadrature
// Sources: hypergeometric counting as in DeepEP's planner; the overloads are ours (docs/theory/routing.md).
#pragma once

#include <vector>

#include "spec/dtype.hpp"
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

// Variance of the rows that one token of a router without preference sends to one of `domains`.
double rows_variance(const MoeFfn& moe, double domains);
// Hottest of `ranks` over the mean when every token chooses by chance.
double random_overload(const MoeFfn& moe, double tokens, double ranks);

// The hottest rank over the mean once the balancer has done what it does to these loads; chance left out.
double balanced_overload(const std::vector<double>& loads, const Routing& routing, std::size_t ranks);
// The same of every drawn layer, ascending.
std::vector<double> drawn_overloads(const MoeFfn& moe, const Routing& routing, std::size_t ranks);

// `tokens` enter the whole expert-parallel group; `ranks` share the experts.
ExpertLoad expert_load(const MoeFfn& moe, const Routing& routing, double tokens, double ranks);

// What the balancer itself does, per MoE layer on one rank with `tokens`.
struct BalancerWork {
  Bytes scanned;                  // of scores, per micro-batch
  Bytes kept;                     // workspace
  Bytes reduced;                  // over all data-parallel ranks, once per step
  double copies = 0;  // of experts a rank holds beside its own; EPLB's stay, those of dynamic replication live for a pass
  double sent = 0;    // dynamic: copies that the busiest line carries, one way
  double own = 1;     // dynamic: share of a rank's rows that its own experts compute
};
BalancerWork balancer_work(const MoeFfn& moe, const Routing& routing, double tokens, double ranks);

}  // namespace moeline
