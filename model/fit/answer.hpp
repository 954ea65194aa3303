// What does a scenario mean, and what is its answer? The whole way in one call, for every program that asks:
//
//   JSON -> Scenario -> the calibration that it names -> evaluate -> Evaluation | Infeasible
// What is wrong with the JSON is a SpecError, and where the scenario names files they are read.
#pragma once

#include <memory>
#include <string>

#include "plan/evaluate.hpp"

namespace moeline {

struct Answer {
  std::unique_ptr<Scenario> scenario;  // as understood; stays where it is, because the outcome keeps views of it
  Calibration calibration;
  Outcome outcome;
};

// `json` is what a scenario file holds, a training step if it does not say; `origin` names it in messages.
Answer answer_to(Json json, const std::string& origin);

}  // namespace moeline
