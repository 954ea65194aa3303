// What holds the answer back, shown: inputs by effect, parts taken away, layouts or deployments beside this one, ops by
// their numbers.
#pragma once

#include <string>
#include <vector>

#include "plan/elasticity.hpp"
#include "plan/neighbours.hpp"
#include "plan/op_terms.hpp"
#include "reports/report.hpp"

namespace moeline {

struct Explanation {
  const Scenario& scenario;
  const Evaluation& evaluation;
  std::vector<Elasticity> elasticities;
  std::vector<Free> without;
  std::vector<LayoutNeighbour> neighbours;
  std::vector<OpExplanation> ops;
};

// What would help most, of what can be changed: "+10 % HBM bandwidth: -1.1 %". At most three, best first.
std::vector<std::string> best_changes(const std::vector<Elasticity>& elasticities,
                                      const std::vector<LayoutNeighbour>& neighbours);

std::string explanation_text(const Explanation& explanation);
Json explanation_json(const Explanation& explanation);

}  // namespace moeline
