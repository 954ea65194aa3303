// What would one try next on a deployment?
//
//   workers     wider and narrower (tp or attention groups, with ep or etp), pp; of the same width, other shares between tp
//               and attention groups and between ep and etp; more and fewer replicas; pools apart, larger, smaller, or none
//   formats     of weights and cache            software   budget of an iteration, chunks, graphs, overlap, stack, transport
//   drafts      one token more and less, side by side or in turn, none         routing   spare experts, even loads
// Devices stay as many as they are where a whole number of workers fits them, and go with the workers where not; users, or
// the rate of requests, stay.
#pragma once

#include <vector>

#include "plan/neighbours.hpp"

namespace moeline {

// The scenario as given, with its cut, devices and load of experts written out: what changes are laid over.
Json deployment(const Json& json, const Scenario& scenario);
std::vector<Change> deployment_changes(const Json& json, const Scenario& scenario, const ServeEvaluation& answer);

}  // namespace moeline
