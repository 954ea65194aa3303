// What is the best choice that is exactly balanced? The oracle for what quantiles find: slow, small sizes only.
//
// Minimum-cost flow, one row at a time along the cheapest path of reassignments from expert to expert. Its value is
// that of the linear programme, whose vertices are whole numbers. Time m k (m n^2 + n^3).
#pragma once

#include <cstdint>
#include <vector>

#include "routing/scores.hpp"

namespace moeline {

struct Assignment {
  std::vector<std::int32_t> experts;  // k of each token
  double score = 0;
};
// m k / n must be a whole number.
Assignment best_balanced(const RouterScores& scores);

}  // namespace moeline
