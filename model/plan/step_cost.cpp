#include "plan/step_cost.hpp"

#include <algorithm>

namespace moeline {
namespace {

// Names are mostly the same literal: its address tells before its letters do.
bool alike(std::string_view a, std::string_view b) { return a.size() == b.size() && (a.data() == b.data() || a == b); }

}  // namespace

std::size_t Breakdown::place(const BreakdownRow& row, std::size_t from) {
  // Backwards: an op is often of the group of the one before it.
  for (std::size_t i = rows_.size(); i-- > from;) {
    if (alike(rows_[i].name, row.name) && alike(rows_[i].phase, row.phase)) return i;
  }
  if (rows_.empty()) rows_.reserve(kUsual);
  rows_.push_back({.name = row.name, .phase = row.phase, .lane = row.lane, .source = Source::measured});
  return rows_.size() - 1;
}

void Breakdown::add(const BreakdownRow& row, double times, std::size_t from) { add_at(place(row, from), row, times); }

void Breakdown::add_at(std::size_t place, const BreakdownRow& row, double times) {
  BreakdownRow& sum = rows_[place];
  const Seconds before = sum.seconds, added = times * row.seconds;
  const Seconds after = before + added;
  if (after > Seconds{}) sum.spread = (before * sum.spread + added * row.spread) / after;
  sum.seconds = after;
  sum.exposed += times * row.exposed;
  sum.flops += times * row.flops;
  sum.bytes += times * row.bytes;
  sum.source = weakest(sum.source, row.source);
  const Seconds largest = row.largest > Seconds{} ? row.largest : added;
  if (sum.bound_by.empty() || largest > sum.largest) {
    sum.bound_by = row.bound_by;
    sum.largest = largest;
  }
}

void Breakdown::scale(double times) {
  for (BreakdownRow& row : rows_) {
    row.seconds *= times;
    row.exposed *= times;
    row.flops *= times;
    row.bytes *= times;
    row.largest *= times;
  }
}

void Breakdown::drop_empty(std::size_t from) {
  const auto first = rows_.begin() + static_cast<std::ptrdiff_t>(from);
  rows_.erase(std::remove_if(first, rows_.end(), [](const BreakdownRow& row) { return row.bound_by.empty(); }), rows_.end());
}

std::size_t Breakdown::append(const Breakdown& other) {
  const std::size_t first = rows_.size();
  rows_.insert(rows_.end(), other.rows_.begin(), other.rows_.end());
  return first;
}

void Breakdown::add(const Breakdown& other, double times) {
  for (const BreakdownRow& row : other.rows_) add(row, times);
}

void Breakdown::hide(std::span<const std::string_view> names, Seconds hidden) {
  if (hidden == Seconds{}) return;
  const auto chosen = [&](const BreakdownRow& row) {
    return std::any_of(names.begin(), names.end(), [&](std::string_view name) { return alike(name, row.name); });
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

StepCost timed(const Step& step, const Machine& machine) {
  StepCost result;
  result.costs.reserve(step.size());
  for (const Op& op : step) {
    result.costs.push_back(is_free(machine, op.group) ? OpCost{.source = Source::measured} : cost(op.work, machine));
  }
  result.timeline = schedule(step, result.costs);
  result.makespan = result.timeline.makespan;
  return result;
}

Breakdown breakdown_of(const Step& step, const StepCost& cost) {
  Breakdown rows;
  for (std::size_t i = 0; i < step.size(); ++i) {
    const OpCost& c = cost.costs[i];
    rows.add({.name = step[i].group, .phase = name(step[i].phase), .lane = step[i].lane, .seconds = c.time,
              .exposed = cost.timeline.intervals[i].exposed, .flops = c.flops, .bytes = c.bytes, .bound_by = c.bound_by,
              .source = c.source, .spread = c.spread, .largest = c.time});
  }
  return rows;
}

StepCost step_cost(const Step& step, const Machine& machine) {
  StepCost result = timed(step, machine);
  result.breakdown = breakdown_of(step, result);
  return result;
}

}  // namespace moeline
