// What a wafer adds to the answer: how the batch was tiled, where streaming breaks even, and which side holds it back.
#pragma once

#include <optional>
#include <string>

#include "wafer/tiling.hpp"

namespace moeline {

struct WaferAnswer {
  WaferMode mode = WaferMode::streaming;
  TilePlan plan;  // B, sequences of a full micro-batch, where inputs wait
  TileLimits limits;
  bool tiles_given = false;  // G was asked for, not chosen
  WaferConduct conduct;
  double tokens = 0;            // of one full micro-batch on one system: G B S
  double break_even_dense = 0;  // tokens at which a dense model's arithmetic covers its stream
  double break_even_model = 0;  // the same for this model: x total / active parameters
  std::optional<double> break_even_expert, expert_tokens;  // rows of one expert: needed, and there
  Seconds stream, exposed_stream;                          // of the step: weights, gradients, layer inputs
  std::string binds;                                       // "compute", "expert stream: ...", "attention memory: ..."
};

}  // namespace moeline
