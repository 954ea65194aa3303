// When does each op run, and what does it add to the total?
//
//   compute  ████████      ████████████
//   network        ▒▒▒▒▒▒▓▓                ▒ exposed: no compute beside it   ▓ hidden
//
// Ops start in issue order, each as soon as its lane is free and what it waits for has finished. Exposed times add up
// to the makespan: compute counts in full, network only where compute stands still.
#pragma once

#include <span>
#include <vector>

#include "cost/op_cost.hpp"
#include "ops/step.hpp"

namespace moeline {

struct Interval {
  Seconds start, finish, exposed;
};

struct Timeline {
  std::vector<Interval> intervals;  // one per op
  Seconds makespan;
};

// `memory`: of an earlier one, whose place the answer takes.
Timeline schedule(const Step& step, std::span<const OpCost> costs, Timeline memory = {});

}  // namespace moeline
