// Which inputs of a wafer's answer can be moved, and which of its parts taken away? Beside the fabric and the workload,
// which every machine has.
//
// Rates and latencies move with the batch cut as it was answered. SRAM and the workload decide the cut, so there it is
// chosen anew, as the scenario asked for it.
#pragma once

#include "plan/elasticity.hpp"

namespace moeline {

// Writes the cut of the answer into the question, and keeps what was asked.
void fix_cut(Question& question, const WaferAnswer& answer);
// Takes the cut back.
void choose_cut_anew(Question& question);

std::vector<Input> wafer_inputs(const Wafer& wafer, const Question& question);

// The machine with one part that takes no time: cores, SRAM, lines on and off the wafer.
struct WithoutPart {
  const char *name, *kind;  // as in Free
  Question question;
};
std::vector<WithoutPart> without_wafer_parts(const Question& question);

}  // namespace moeline
