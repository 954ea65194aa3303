// What does the software around the kernels of a serving stack do: how much goes into one iteration, and what does the
// host add to it?
//
//   iteration = max(kernels, launches that the host makes one by one) + host + host_sequence x sequences
// A captured graph needs one launch; iterations with prompts launch every kernel. Values are what the projects' own
// documentation and defaults say (token budgets, pages), and for host times an assumption of this project.
#pragma once

#include "memory/serving.hpp"
#include "spec/device.hpp"
#include "spec/scenario.hpp"

namespace moeline {

struct StackConduct {
  double token_budget = 8192;   // of one iteration and attention group
  bool mixes = true;            // prompts and decoding in one iteration; else prompts go first, alone
  double page = 64;             // tokens
  bool whole_request = false;   // admits a request only when its last token has room
  Seconds host, host_sequence;  // of an iteration, not hidden behind kernels
  Seconds launch;               // of one kernel, eagerly
  Seconds request;              // of one request before and after the engine: HTTP, tokeniser, first answer
};
StackConduct stack_conduct(const ServeWorkload& serve);

// The formats a recipe's weights are multiplied in on this device; what cannot be is said in `notes`.
ServedFormats served_formats(const Recipe& recipe, const ServeWorkload& serve, const ModelSpec& model, const Gpu& gpu,
                             std::vector<std::string>& notes);

// The stack that serves a model by default, and how rows reach experts on a cut.
ExpertTransport decode_transport(const ServeWorkload& serve, const ServeLayout& layout, const Cluster& cluster);

}  // namespace moeline
