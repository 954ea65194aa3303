// What does each pipeline stage hold, and the stage that binds tensor by tensor?
#pragma once

#include <string>
#include <vector>

#include "plan/evaluate.hpp"

namespace moeline {

// Activations of one kind of layer on the stage that binds.
struct HeldTensor {
  std::string layer;        // "MoE layer", "dense layer"
  std::string_view tensor;
  Bytes each;               // of one layer and micro-batch
  double layers = 0;        // on the stage
};
std::vector<HeldTensor> held_tensors(const TrainEvaluation& train, const Scenario& scenario);

// Parts, stages and tensors, for `train --memory`.
std::string memory_text(const TrainEvaluation& train, const Scenario& scenario);

}  // namespace moeline
