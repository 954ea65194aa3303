#include "routing/load.hpp"

#include <algorithm>
#include <cmath>

namespace moeline {
namespace {

// C(a, k) / C(b, k) for a <= b, as a product that neither overflows nor cancels.
double choose_ratio(double a, double b, double k) {
  if (a < k) return 0;
  double ratio = 1;
  for (double i = 0; i < k; ++i) ratio *= (a - i) / (b - i);
  return ratio;
}

// P(j of `open` drawn groups are among `mine` of `groups`).
double hypergeometric(double j, double groups, double mine, double open) {
  const auto log_choose = [](double n, double k) {
    return std::lgamma(n + 1) - std::lgamma(k + 1) - std::lgamma(n - k + 1);
  };
  if (j > mine || open - j > groups - mine) return 0;
  return std::exp(log_choose(mine, j) + log_choose(groups - mine, open - j) - log_choose(groups, open));
}

}  // namespace

double expected_experts_hit(double experts, double top_k, double tokens) {
  return experts * (1 - std::pow(1 - std::min(1.0, top_k / experts), tokens));
}

double expected_domains_hit(const MoeFfn& moe, double domains) {
  const auto experts = static_cast<double>(moe.experts), top_k = static_cast<double>(moe.top_k);
  const auto groups = static_cast<double>(moe.groups), open = static_cast<double>(moe.top_groups);
  if (domains <= 1) return 1;
  const double open_experts = experts * open / groups;
  if (domains >= groups) {  // a domain lies inside one group, which is open with probability open/groups
    return domains * open / groups * (1 - choose_ratio(open_experts - experts / domains, open_experts, top_k));
  }
  const double mine = groups / domains;
  double hit = 0;
  for (double j = 1; j <= std::min(mine, open); ++j) {
    hit += hypergeometric(j, groups, mine, open) *
           (1 - choose_ratio(open_experts - j * experts / groups, open_experts, top_k));
  }
  return domains * hit;
}

ExpertLoad expert_load(const MoeFfn& moe, const Routing& routing, double tokens, double ranks) {
  ExpertLoad load;
  const auto experts = static_cast<double>(moe.experts), top_k = static_cast<double>(moe.top_k);
  if (routing.popularity == Popularity::balanced) {
    // Equal loads: with fewer choices than experts, as many experts as choices are hit.
    load.experts_hit = std::min(experts, tokens * top_k) / ranks;
    return load;
  }
  load.experts_hit = expected_experts_hit(experts, top_k, tokens) / ranks;
  const double pairs_per_rank = tokens * top_k / ranks;
  if (ranks > 1) load.overload = 1 + std::sqrt(2 * std::log(ranks) * (1 - 1 / ranks) / pairs_per_rank);
  return load;
}

}  // namespace moeline
