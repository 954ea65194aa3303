// One optimiser step on a GPU cluster.
#pragma once

#include "plan/evaluate.hpp"

namespace moeline {

// `scenario` has been checked for legality: parallelism resolved, recipe legal on the device.
std::variant<TrainEvaluation, Infeasible> evaluate_train(const Scenario& scenario, const TrainWorkload& train,
                                                         const Machine& machine, std::vector<Warning>& warnings);

}  // namespace moeline
