// Which rank holds which expert, and how often, so that ranks are loaded alike?
//
//   replicate   every redundant slot goes to the expert with the largest load per copy
//   pack        items by falling load, each into the lightest pack that has room; packs hold equal numbers
//   EPLB        expert groups packed to nodes, experts replicated within each node, copies packed to its ranks; where
//               groups do not divide over nodes, all as one node
//   dynamic     every rank receives exactly the mean: rows above it go, with a copy of their expert, to ranks below it
// Sources: the algorithm of deepseek-ai/EPLB; dynamic replication: Kimi K3 report, appendix E.
#pragma once

#include <cstddef>
#include <vector>

namespace moeline {

struct Replication {
  std::vector<std::size_t> expert;  // of every slot
  std::vector<std::size_t> copies;  // of every expert
};
Replication replicated(const std::vector<double>& loads, std::size_t slots);

// The pack of every item.
std::vector<std::size_t> packed(const std::vector<double>& loads, std::size_t packs);

struct PlacementSites {
  std::size_t slots = 0, groups = 1, nodes = 1, ranks = 1;
};
struct Placement {
  std::vector<std::size_t> expert, rank;  // of every slot
  std::vector<double> rank_loads;
};
Placement eplb(const std::vector<double>& loads, const PlacementSites& sites);

struct DynamicReplication {
  double moved = 0;              // share of rows that leave their home rank
  std::size_t copies = 0;        // of experts away from home, on all ranks
  std::size_t most_on_rank = 0;  // copies one rank receives
  std::size_t most_of_rank = 0;  // experts of one rank that have copies: sent once, receivers pass them on
  double own = 1;                // share of the rows of whoever receives most that are its own experts'
};
DynamicReplication dynamic_replication(const std::vector<double>& loads, std::size_t ranks);

}  // namespace moeline
