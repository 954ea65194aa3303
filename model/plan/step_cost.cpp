#include "plan/step_cost.hpp"

#include <algorithm>

namespace moeline {

void Breakdown::add(const BreakdownRow& row, double times) {
  auto found = std::find_if(rows_.begin(), rows_.end(), [&](const BreakdownRow& candidate) {
    return candidate.name == row.name && candidate.phase == row.phase;
  });
  if (found == rows_.end()) {
    rows_.push_back({.name = row.name, .phase = row.phase, .lane = row.lane, .source = row.source});
    found = rows_.end() - 1;
    found->source = Source::measured;
  }
  const Seconds before = found->seconds, added = times * row.seconds;
  const Seconds after = before + added;
  if (after > Seconds{}) found->spread = (before * found->spread + added * row.spread) / after;
  found->seconds = after;
  found->exposed += times * row.exposed;
  found->flops += times * row.flops;
  found->bytes += times * row.bytes;
  found->source = weakest(found->source, row.source);
  const Seconds largest = row.largest > Seconds{} ? row.largest : added;
  if (found->bound_by.empty() || largest > found->largest) {
    found->bound_by = row.bound_by;
    found->largest = largest;
  }
}

void Breakdown::add(const Breakdown& other, double times) {
  for (const BreakdownRow& row : other.rows_) add(row, times);
}

void Breakdown::hide(const std::vector<std::string_view>& names, Seconds hidden) {
  const auto chosen = [&](const BreakdownRow& row) {
    return std::find(names.begin(), names.end(), row.name) != names.end();
  };
  Seconds available;
  for (const BreakdownRow& row : rows_) {
    if (chosen(row)) available += row.exposed;
  }
  if (!(available > Seconds{})) return;
  const double left = std::max(0.0, 1 - hidden / available);
  for (BreakdownRow& row : rows_) {
    if (chosen(row)) row.exposed *= left;
  }
}

Seconds Breakdown::exposed() const {
  Seconds sum;
  for (const BreakdownRow& row : rows_) sum += row.exposed;
  return sum;
}

Source Breakdown::source() const {
  Source source = Source::measured;
  for (const BreakdownRow& row : rows_) {
    if (row.exposed > Seconds{}) source = weakest(source, row.source);
  }
  return source;
}

StepCost step_cost(const Step& step, const Machine& machine) {
  StepCost result;
  result.costs.reserve(step.size());
  for (const Op& op : step) {
    result.costs.push_back(is_free(machine, op.group) ? OpCost{.source = Source::measured} : cost(op.work, machine));
  }
  result.timeline = schedule(step, result.costs);
  result.makespan = result.timeline.makespan;
  for (std::size_t i = 0; i < step.size(); ++i) {
    const OpCost& c = result.costs[i];
    result.breakdown.add({.name = step[i].group, .phase = name(step[i].phase), .lane = step[i].lane, .seconds = c.time,
                          .exposed = result.timeline.intervals[i].exposed, .flops = c.flops, .bytes = c.bytes,
                          .bound_by = c.bound_by, .source = c.source, .spread = c.spread, .largest = c.time});
  }
  return result;
}

}  // namespace moeline
