#include "routing/load.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "error.hpp"
#include "routing/balancers.hpp"
#include "routing/chance.hpp"
#include "routing/imbalance.hpp"
#include "routing/placement.hpp"

namespace moeline {
namespace {

// C(a, k) / C(b, k) for a <= b, as a product that neither overflows nor cancels.
double choose_ratio(double a, double b, double k) {
  if (a < k) return 0;
  double ratio = 1;
  for (double i = 0; i < k; ++i) ratio *= (a - i) / (b - i);
  return ratio;
}

// Of whole numbers that groups of experts come in, from a table.
double log_factorial(double n) {
  static const auto table = [] {
    std::array<double, 64> logs{};
    for (std::size_t i = 0; i < logs.size(); ++i) logs[i] = std::lgamma(static_cast<double>(i) + 1);
    return logs;
  }();
  const std::size_t i = n >= 0 && n < static_cast<double>(table.size()) ? static_cast<std::size_t>(n) : 0;
  return static_cast<double>(i) == n ? table[i] : std::lgamma(n + 1);
}

// P(j of `open` drawn groups are among `mine` of `groups`).
double hypergeometric(double j, double groups, double mine, double open) {
  const auto log_choose = [](double n, double k) { return log_factorial(n) - log_factorial(k) - log_factorial(n - k); };
  if (j > mine || open - j > groups - mine) return 0;
  return std::exp(log_choose(mine, j) + log_choose(groups - mine, open - j) - log_choose(groups, open));
}

// Reads of a radix selection of 4-byte numbers, 8 bits a pass, and the write of what is selected from.
constexpr double kSelectionPasses = 5;

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

double rows_variance(const MoeFfn& moe, double domains) {
  const auto experts = static_cast<double>(moe.experts), top_k = static_cast<double>(moe.top_k);
  const auto groups = static_cast<double>(moe.groups), open = static_cast<double>(moe.top_groups);
  const double drawn_from = experts * open / groups, mean = top_k / domains;
  // Rows that k draws without replacement put on `mine` experts: E[X^2].
  const auto square = [&](double mine) {
    const double share = mine / drawn_from, rest = (drawn_from - top_k) / std::max(1.0, drawn_from - 1);
    return top_k * share * (1 - share) * rest + std::pow(top_k * share, 2);
  };
  if (domains >= groups) return open / groups * square(experts / domains) - mean * mean;
  const double mine = groups / domains;
  double sum = 0;
  for (double j = 1; j <= std::min(mine, open); ++j)
    sum += hypergeometric(j, groups, mine, open) * square(j * experts / groups);
  return sum - mean * mean;
}

double random_overload(const MoeFfn& moe, double tokens, double ranks) {
  if (ranks <= 1) return 1;
  // All ranks' rows add up to a constant: one has what others have not, which widens their distances by R/(R-1).
  const double apart = std::sqrt(std::max(0.0, tokens * rows_variance(moe, ranks) * ranks / (ranks - 1)));
  return 1 + largest_of_normals(ranks) * apart / (tokens * static_cast<double>(moe.top_k) / ranks);
}

std::vector<double> drawn_overloads(const MoeFfn& moe, const Routing& routing, std::size_t ranks) {
  const ExpertShares& shares = *routing.drawn.shares;
  MOELINE_EXPECT(shares.experts == static_cast<std::size_t>(moe.experts));
  std::vector<double> overloads;
  for (std::size_t i = 0; i < shares.rows(); ++i) overloads.push_back(balanced_overload(shares.row(i), routing, ranks));
  std::sort(overloads.begin(), overloads.end());
  return overloads;
}

double balanced_overload(const std::vector<double>& loads, const Routing& routing, std::size_t ranks) {
  switch (routing.balancer) {
    case Balancer::aux_loss:
    case Balancer::loss_free: return overload_of(summed(with_violation(loads, routing.max_violation), ranks));
    case Balancer::quantile:
    case Balancer::dynamic: return 1;
    case Balancer::capacity: return routing.capacity_factor;  // buffers are padded to it
    case Balancer::eplb: {
      const std::size_t wished = loads.size() + static_cast<std::size_t>(routing.redundant);
      const std::size_t slots = (wished + ranks - 1) / ranks * ranks;
      return overload_of(eplb(loads, {.slots = slots, .ranks = ranks}).rank_loads);
    }
    case Balancer::none: break;
  }
  return overload_of(summed(loads, ranks));
}

namespace {

// Expected distinct experts with a row: every expert's own chance to be missed by all tokens.
double drawn_experts_hit(const ExpertShares& shares, double top_k, double tokens) {
  constexpr std::size_t kEnough = 8;  // rows of E experts each
  const std::size_t rows = std::min(shares.rows(), kEnough);
  double hit = 0;
  for (std::size_t i = 0; i < rows * shares.experts; ++i)
    hit += 1 - std::pow(1 - std::min(1.0, top_k * shares.values[i]), tokens);
  return hit / static_cast<double>(rows);
}

bool even(const Routing& routing) {
  return routing.popularity == Popularity::balanced || routing.balancer == Balancer::dynamic;
}

}  // namespace

ExpertLoad expert_load(const MoeFfn& moe, const Routing& routing, double tokens, double ranks) {
  ExpertLoad load;
  const auto experts = static_cast<double>(moe.experts), top_k = static_cast<double>(moe.top_k);
  if (routing.popularity == Popularity::balanced) {
    // Equal loads: with fewer choices than experts, as many experts as choices are hit.
    load.experts_hit = std::min(experts, tokens * top_k) / ranks;
  } else if (routing.drawn.shares && routing.balancer != Balancer::quantile) {
    load.experts_hit = drawn_experts_hit(*routing.drawn.shares, top_k, tokens) / ranks;
  } else {
    load.experts_hit = expected_experts_hit(experts, top_k, tokens) / ranks;
  }
  if (routing.balancer == Balancer::capacity) load.overload = routing.capacity_factor;
  if (even(routing) || routing.balancer == Balancer::capacity || ranks <= 1) return load;
  if (routing.popularity == Popularity::overload) {
    const bool balances = routing.balancer == Balancer::quantile || routing.balancer == Balancer::eplb;
    if (!balances) {  // measured: its noise is in it
      const double limit = routing.balancer == Balancer::none ? routing.alpha : 1 + routing.max_violation;
      load.overload = std::min(routing.alpha, limit);
      return load;
    }
  }
  const std::vector<double> overloads =
      routing.drawn.shares ? drawn_overloads(moe, routing, static_cast<std::size_t>(ranks)) : std::vector{1.0};
  load.overload = with_chance(mean_of(overloads), moe, routing.balancer, tokens, ranks);
  return load;
}

BalancerWork balancer_work(const MoeFfn& moe, const Routing& routing, double tokens, double ranks) {
  const auto experts = static_cast<double>(moe.experts);
  BalancerWork work;
  switch (routing.balancer) {
    case Balancer::none:
    case Balancer::capacity: break;
    case Balancer::aux_loss:  // mean probabilities of every expert, and their gradient
      work.scanned = bytes(DType::fp32, 2 * tokens * experts);
      break;
    case Balancer::loss_free: work.reduced = bytes(DType::fp32, experts); break;
    case Balancer::quantile:
      work.scanned = bytes(DType::fp32, kSelectionPasses * tokens * experts);
      work.kept = bytes(DType::fp32, tokens * experts);
      work.reduced = bytes(DType::fp32, experts);
      break;
    case Balancer::eplb: work.copies = std::ceil(static_cast<double>(routing.redundant) / ranks); break;
    case Balancer::dynamic: {
      if (!routing.drawn.shares || ranks <= 1) break;
      const ExpertShares& shares = *routing.drawn.shares;
      for (std::size_t i = 0; i < shares.rows(); ++i) {
        const DynamicReplication r = dynamic_replication(shares.row(i), static_cast<std::size_t>(ranks));
        const auto layers = static_cast<double>(shares.rows());
        work.copies += static_cast<double>(r.most_on_rank) / layers;
        work.sent += static_cast<double>(std::max(r.most_on_rank, r.most_of_rank)) / layers;
        work.own -= (1 - r.own) / layers;
      }
      break;
    }
  }
  return work;
}

}  // namespace moeline
