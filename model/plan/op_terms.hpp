// Which ops is a breakdown row a sum of, and what is each one's time made of?
//
// Ops of every kind of layer, of embedding, head and MTP, as often as the busiest stage runs them in a step, or a worker
// for a token and, phase prefill, for the first one:
//   total = times x time,   summed over a group and phase: the `seconds` of that breakdown row
// What happens once per step (gradient reduction, optimiser, ...) is not an op of these lists; the breakdown has it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "plan/elasticity.hpp"
#include "plan/op_formulas.hpp"

namespace moeline {

struct OpExplanation {
  std::string name, group, where;  // "gate+up", "expert GEMM", "MoE layer"
  std::string_view phase;
  Work work;
  OpCost cost;
  double times = 1;  // in one step, on the busiest stage; of serving for one token
  Formula formula{};
  Seconds total() const { return times * cost.time; }
};

// The longest first, by total; at most `most`, of serving of each phase. Equal ops (same name, phase and place) count together.
std::vector<OpExplanation> explained_ops(const Question& question, const Evaluation& evaluation, std::size_t most);

// A pass of a wafer over a part of the model: the stream in, the stream out and the cores side by side.
struct PassExplanation {
  std::string_view where, phase, bound_by;  // "MoE layer", "backward", "cores"
  Seconds time;
  double times = 1;  // in one step
  Formula formula;
};

// The longest first; none on GPUs and of a resident model.
std::vector<PassExplanation> explained_passes(const Evaluation& evaluation);

}  // namespace moeline
