#include "engine/route_run.hpp"

#include <tbb/parallel_for.h>
#include <tbb/task_arena.h>

#include <algorithm>
#include <cmath>

#include "routing/balancers.hpp"
#include "routing/chance.hpp"
#include "routing/imbalance.hpp"
#include "routing/placement.hpp"
#include "routing/quantile.hpp"

namespace moeline {
namespace {

ForBlocks on_threads(tbb::task_arena& arena) {
  return [&arena](std::size_t count, const std::function<void(std::size_t)>& work) {
    arena.execute([&] { tbb::parallel_for(std::size_t{0}, count, work, tbb::simple_partitioner{}); });
  };
}

// Ranks hold equal shares of the experts, in order.
BalancedLoads measured(std::string name, std::vector<double> loads, std::size_t ranks) {
  BalancedLoads row{.balancer = std::move(name)};
  row.rank_loads = summed(loads, ranks);
  row.max_violation = max_violation(loads);
  row.overload = overload_of(row.rank_loads);
  row.loads = std::move(loads);
  return row;
}

// What placement, replication and dropping make of the loads of an unbalanced router.
void add_of_loads(std::vector<BalancedLoads>& rows, const std::vector<double>& loads, const RouteSettings& s) {
  const auto wanted = [&](Balancer b) { return !s.only || *s.only == b; };
  if (wanted(Balancer::capacity)) {
    Capped kept = capped(loads, s.capacity_factor);
    rows.push_back(measured("capacity", std::move(kept.loads), s.ranks));
    rows.back().drop_rate = kept.drop_rate;
    // Over the mean of what was routed, not of what was kept.
    rows.back().overload *= 1 - kept.drop_rate;
    rows.back().max_violation = (1 + rows.back().max_violation) * (1 - kept.drop_rate) - 1;
  }
  if (wanted(Balancer::eplb)) {
    const std::size_t slots = (loads.size() + s.redundant + s.ranks - 1) / s.ranks * s.ranks;
    rows.push_back(measured("eplb", loads, s.ranks));
    rows.back().rank_loads = eplb(loads, {.slots = slots, .ranks = s.ranks}).rank_loads;
    rows.back().overload = overload_of(rows.back().rank_loads);
  }
  if (wanted(Balancer::dynamic)) {
    rows.push_back(measured("dynamic", loads, s.ranks));
    rows.back().rank_loads.assign(s.ranks, mean_of(rows.back().rank_loads));
    rows.back().overload = 1;
  }
}

BalancedLoads by_quantiles(const RouterScores& scores, const RouteSettings& s, const ForBlocks& blocks) {
  std::vector<float> prices(scores.experts);
  for (int i = 0; i < s.iterations; ++i) prices = next_prices(scores, prices, blocks);
  const RoutedScores routed = route(scores, prices, blocks);
  BalancedLoads row = measured("quantile", routed.loads, s.ranks);
  row.iterations = s.iterations;
  row.dual_gap = (routed.dual - balanced_score(scores, prices, blocks)) / std::max(std::abs(routed.dual), 1e-30);
  return row;
}

// Steps shrink from a tenth of the scores' deviation, so that few are needed at any scale of the scores.
BalancedLoads by_sign(const RouterScores& scores, const RouteSettings& s, const ForBlocks& blocks) {
  double sum = 0, square = 0;
  const std::span<const float> sample = scores.values.first(std::min<std::size_t>(scores.values.size(), 1 << 20));
  for (const float value : sample) sum += value, square += double{value} * value;
  const auto count = static_cast<double>(sample.size());
  const double deviation = std::sqrt(std::max(0.0, square / count - sum * sum / (count * count)));
  std::vector<float> prices(scores.experts);
  const int steps = 10 * s.iterations;
  for (int i = 0; i < steps; ++i)
    prices = sign_prices(prices, route(scores, prices, blocks).loads, 0.1 * deviation * (steps - i) / steps);
  BalancedLoads row = measured("loss_free", route(scores, prices, blocks).loads, s.ranks);
  row.iterations = steps;
  return row;
}

}  // namespace

std::vector<BalancedLoads> balanced(const RouterScores& scores, const RouteSettings& s) {
  tbb::task_arena arena(s.threads);
  const ForBlocks blocks = on_threads(arena);
  const auto wanted = [&](Balancer b) { return !s.only || *s.only == b; };
  std::vector<BalancedLoads> rows;
  const std::vector<float> free(scores.experts);
  std::vector<double> plain;
  const bool of_loads =
      wanted(Balancer::none) || wanted(Balancer::capacity) || wanted(Balancer::eplb) || wanted(Balancer::dynamic);
  if (of_loads) plain = route(scores, free, blocks).loads;
  if (wanted(Balancer::none)) rows.push_back(measured("none", plain, s.ranks));
  if (wanted(Balancer::quantile)) rows.push_back(by_quantiles(scores, s, blocks));
  if (wanted(Balancer::loss_free)) rows.push_back(by_sign(scores, s, blocks));
  if (!s.only) {
    const std::vector<float> prices = sinkhorn_prices(scores, {.iterations = s.iterations}, blocks);
    rows.push_back(measured("sinkhorn", route(scores, prices, blocks).loads, s.ranks));
    rows.back().iterations = s.iterations;
  }
  if (of_loads) add_of_loads(rows, plain, s);
  return rows;
}

namespace {

// What routers that learn to balance leave of the shares of one layer.
void add_of_routers(std::vector<BalancedLoads>& rows, const std::vector<double>& loads, const RouteSettings& s) {
  const auto add = [&](Balancer balancer, std::vector<double> left) {
    if (!s.only || *s.only == balancer) rows.push_back(measured(std::string(name(balancer)), std::move(left), s.ranks));
  };
  add(Balancer::none, loads);
  add(Balancer::aux_loss, with_violation(loads, s.aux_loss_violation));
  add(Balancer::loss_free, with_violation(loads, s.loss_free_violation));
  add(Balancer::quantile, std::vector<double>(loads.size(), mean_of(loads)));
}

void add_chance(BalancedLoads& row, const MoeFfn& moe, double tokens, std::size_t ranks) {
  if (row.balancer == name(Balancer::capacity) || row.balancer == name(Balancer::dynamic)) return;  // whatever comes
  const Balancer prices = row.balancer == name(Balancer::quantile) ? Balancer::quantile : Balancer::none;
  const auto chance = [&](double overload, std::size_t domains) {
    return with_chance(overload, moe, prices, tokens, static_cast<double>(domains));
  };
  row.max_violation = chance(1 + row.max_violation, row.loads.size()) - 1;
  row.overload = chance(row.overload, ranks);
  row.overload_p90 = chance(*row.overload_p90, ranks);
}

}  // namespace

std::vector<BalancedLoads> balanced(const ExpertShares& layers, const MoeFfn& moe, double tokens,
                                    const RouteSettings& s) {
  std::vector<BalancedLoads> mean;
  std::vector<std::vector<double>> overloads;
  const auto count = static_cast<double>(layers.rows());
  for (std::size_t i = 0; i < layers.rows(); ++i) {
    std::vector<BalancedLoads> rows;
    add_of_routers(rows, layers.row(i), s);
    add_of_loads(rows, layers.row(i), s);
    if (i == 0) overloads.resize(rows.size());
    for (std::size_t r = 0; r < rows.size(); ++r) {
      overloads[r].push_back(rows[r].overload);
      if (i == 0) {
        mean.push_back(rows[r]);
        mean[r].max_violation = mean[r].overload = mean[r].drop_rate = 0;
      }
      mean[r].max_violation += rows[r].max_violation / count;
      mean[r].overload += rows[r].overload / count;
      mean[r].drop_rate += rows[r].drop_rate / count;
    }
  }
  for (std::size_t r = 0; r < mean.size(); ++r) {
    std::sort(overloads[r].begin(), overloads[r].end());
    mean[r].overload_p90 = overloads[r][static_cast<std::size_t>(0.9 * (count - 1))];
    if (tokens > 0) add_chance(mean[r], moe, tokens, s.ranks);
  }
  return mean;
}

}  // namespace moeline
