// A step does not fit: which nearest change of layout, recomputation or states would?
//
// One change at a time (more recomputation, states, ZeRO, every degree doubled), then two; legality and memory are checked as
// for any scenario. Time is not compared: this answers "does it fit", `search` answers "what is best".
#pragma once

#include <string>
#include <vector>

#include "plan/evaluate.hpp"

namespace moeline {

struct FittingChange {
  std::string change;   // "zero 1 -> 3 and pp 1 -> 2"
  Bytes need;
};

// At most `most`, those that need most memory first, because they change least; empty: nothing within two changes fits.
std::vector<FittingChange> what_fits(const Scenario& scenario, const Calibration& calibration, std::size_t most);

}  // namespace moeline
