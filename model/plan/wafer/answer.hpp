// What a wafer adds to the answer: how the batch was tiled, where streaming breaks even, and which side holds it back.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "wafer/streaming.hpp"
#include "wafer/tiling.hpp"

namespace moeline {

// A pass over one part of the model, priced as `terms` say.
struct WaferPass {
  std::string_view where, phase;  // "MoE layer", "backward"
  PassLoad load;
  PassTerms terms;
  double times = 1;  // in the step

  Seconds total() const { return times * terms.time(); }
};

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
  std::vector<WaferPass> passes;                           // of a streamed model
  std::string binds;                                       // "compute", "expert stream: ...", "attention memory: ..."
};

}  // namespace moeline
