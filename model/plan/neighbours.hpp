// Which layouts lie one step away, are they legal, and what would they change?
//
// On GPUs tp, pp, vpp, ep, etp, cp and micro_batch doubled and halved, ZeRO one stage up and down, other recomputation, a
// random router; on a wafer tiles doubled and halved, inputs and scores elsewhere, other recomputation. Each is read anew
// as if typed, so that defaults follow the layout; dp takes what is left, global_batch stays.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "plan/evaluate.hpp"

namespace moeline {

struct LayoutNeighbour {
  std::string change;                 // "ep 64 -> 128"
  std::string pointer, value;         // for --set
  std::optional<double> time_change;  // relative; absent when it cannot run
  Bytes memory;                       // required by the stage that binds; zero when not known
  std::string obstacle;               // why it cannot run
};

// `json` is the scenario as given, `scenario` as read, `answer` its answer. Those that run first, best first.
std::vector<LayoutNeighbour> layout_neighbours(const Json& json, const std::string& origin, const Scenario& scenario,
                                               const Calibration& calibration, const TrainEvaluation& answer);

}  // namespace moeline
