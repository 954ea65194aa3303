#include "routing/placement.hpp"

#include <algorithm>
#include <numeric>

#include "error.hpp"
#include "routing/imbalance.hpp"

namespace moeline {
namespace {

std::vector<std::size_t> by_falling_load(const std::vector<double>& loads) {
  std::vector<std::size_t> order(loads.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return loads[a] > loads[b]; });
  return order;
}

// Experts of one node, replicated and packed to its ranks; appended to the placement.
void place_on_node(const std::vector<double>& loads, const std::vector<std::size_t>& experts, std::size_t slots,
                   std::size_t first_rank, std::size_t ranks, Placement& placement) {
  std::vector<double> own;
  for (const std::size_t expert : experts) own.push_back(loads[expert]);
  const Replication copies = replicated(own, slots);
  std::vector<double> of_slot;
  for (const std::size_t local : copies.expert)
    of_slot.push_back(own[local] / static_cast<double>(copies.copies[local]));
  const std::vector<std::size_t> pack = packed(of_slot, ranks);
  for (std::size_t slot = 0; slot < slots; ++slot) {
    placement.expert.push_back(experts[copies.expert[slot]]);
    placement.rank.push_back(first_rank + pack[slot]);
    placement.rank_loads[first_rank + pack[slot]] += of_slot[slot];
  }
}

}  // namespace

Replication replicated(const std::vector<double>& loads, std::size_t slots) {
  MOELINE_EXPECT(slots >= loads.size());
  Replication r{std::vector<std::size_t>(loads.size()), std::vector<std::size_t>(loads.size(), 1)};
  std::iota(r.expert.begin(), r.expert.end(), std::size_t{0});
  while (r.expert.size() < slots) {
    std::size_t most = 0;
    for (std::size_t j = 1; j < loads.size(); ++j) {
      if (loads[j] / static_cast<double>(r.copies[j]) > loads[most] / static_cast<double>(r.copies[most])) most = j;
    }
    ++r.copies[most];
    r.expert.push_back(most);
  }
  return r;
}

std::vector<std::size_t> packed(const std::vector<double>& loads, std::size_t packs) {
  MOELINE_EXPECT(packs > 0 && loads.size() % packs == 0);
  const std::size_t room = loads.size() / packs;
  std::vector<std::size_t> pack(loads.size()), items(packs);
  std::vector<double> sum(packs);
  for (const std::size_t item : by_falling_load(loads)) {
    std::size_t lightest = packs;
    for (std::size_t p = 0; p < packs; ++p) {
      if (items[p] < room && (lightest == packs || sum[p] < sum[lightest])) lightest = p;
    }
    pack[item] = lightest;
    ++items[lightest];
    sum[lightest] += loads[item];
  }
  return pack;
}

Placement eplb(const std::vector<double>& loads, const PlacementSites& sites) {
  const bool hierarchical = sites.groups % sites.nodes == 0;
  const std::size_t nodes = hierarchical ? sites.nodes : 1, groups = hierarchical ? sites.groups : 1;
  MOELINE_EXPECT(sites.ranks % nodes == 0 && sites.slots % sites.ranks == 0);
  const std::vector<std::size_t> node_of_group = packed(summed(loads, groups), nodes);
  const std::size_t size = loads.size() / groups;
  Placement placement{{}, {}, std::vector<double>(sites.ranks)};
  for (std::size_t node = 0; node < nodes; ++node) {
    std::vector<std::size_t> experts;
    for (std::size_t j = 0; j < loads.size(); ++j) {
      if (node_of_group[j / size] == node) experts.push_back(j);
    }
    place_on_node(loads, experts, sites.slots / nodes, node * (sites.ranks / nodes), sites.ranks / nodes, placement);
  }
  return placement;
}

DynamicReplication dynamic_replication(const std::vector<double>& loads, std::size_t ranks) {
  const std::vector<double> home = summed(loads, ranks);
  const double mean = mean_of(home), whole = mean * static_cast<double>(ranks);
  std::vector<double> room;
  for (const double load : home) room.push_back(mean - load);
  DynamicReplication result;
  if (!(whole > 0)) return result;
  std::vector<std::size_t> received(ranks), given(ranks);
  const std::size_t local = loads.size() / ranks;
  for (std::size_t rank = 0; rank < ranks; ++rank) {
    // The largest experts leave first, so that few copies are needed.
    std::vector<std::size_t> experts(local);
    std::iota(experts.begin(), experts.end(), rank * local);
    std::stable_sort(experts.begin(), experts.end(), [&](std::size_t a, std::size_t b) { return loads[a] > loads[b]; });
    for (const std::size_t expert : experts) {
      double left = loads[expert];
      if (room[rank] < -1e-9 * mean && left > 1e-9 * mean) ++given[rank];
      while (room[rank] < -1e-9 * mean && left > 1e-9 * mean) {
        const auto to = static_cast<std::size_t>(std::max_element(room.begin(), room.end()) - room.begin());
        const double rows = std::min({left, -room[rank], room[to]});
        if (!(rows > 0)) break;
        room[to] -= rows;
        room[rank] += rows;
        left -= rows;
        result.moved += rows / whole;
        ++result.copies;
        ++received[to];
      }
    }
  }
  const auto fullest = std::max_element(received.begin(), received.end());
  result.most_on_rank = *fullest;
  result.most_of_rank = *std::max_element(given.begin(), given.end());
  if (*fullest > 0) result.own = home[static_cast<std::size_t>(fullest - received.begin())] / mean;
  return result;
}

}  // namespace moeline
