// What is each op's time made of? The equation and its numbers, from the same Terms structs that the costs use.
//
// Ops of every kind of layer, of embedding, head and MTP, as often as the busiest stage runs them in a step, or a worker
// for a token:
//   total = times x time,   summed over a group and phase: the `seconds` of that breakdown row
// What happens once per step (gradient reduction, optimiser, ...) is not an op of these lists; the breakdown has it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "plan/elasticity.hpp"

namespace moeline {

struct Term {
  std::string name;  // "tensor"
  double value = 0;
  std::string_view unit;  // "seconds", "bytes", "flops", "" for counts
};

struct OpExplanation {
  std::string name, group, where;  // "gate+up", "expert GEMM", "MoE layer"
  std::string_view phase;
  Work work;
  OpCost cost;
  double times = 1;     // in one step, on the busiest stage; of serving for one token
  std::string formula;  // "launch + max(tensor, memory)"
  std::vector<Term> terms;
  Seconds total() const { return times * cost.time; }
};

// The longest first, by total; at most `most`. Equal ops (same name, phase and place) count together.
std::vector<OpExplanation> explained_ops(const Question& question, const Evaluation& evaluation, std::size_t most);

// A pass of a wafer over a part of the model: the stream in, the stream out and the cores side by side.
struct PassExplanation {
  std::string_view where, phase, bound_by;  // "MoE layer", "backward", "cores"
  Seconds time;
  double times = 1;  // in one step
  std::string formula;
  std::vector<Term> terms;
};

// The longest first; none on GPUs and of a resident model.
std::vector<PassExplanation> explained_passes(const Evaluation& evaluation);

}  // namespace moeline
