// What does a list of ops add up to, and what is each part of it?
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cost/timeline.hpp"
#include "gpu/roofline.hpp"

namespace moeline {

// One line of a breakdown: ops of one group and phase, summed.
struct BreakdownRow {
  std::string_view name;
  std::string_view phase;
  Lane lane = Lane::compute;
  Seconds seconds, exposed;
  Flops flops;
  Bytes bytes;
  std::string_view bound_by;   // of the op that takes most of the row's time
  Source source = Source::bound;
  double spread = 0;           // log-standard deviation; errors of one row's ops are taken as fully correlated
  Seconds largest{};           // time of that op, while summing
};

class Breakdown {
 public:
  // Adds `times` repetitions of a row; rows of the same name and phase merge. None before `from` can be the same.
  void add(const BreakdownRow& row, double times = 1, std::size_t from = 0);
  void add(const Breakdown& other, double times = 1);
  void scale(double times);  // as if all of it had run so often
  // Takes exposed time away from network rows named `names`, in proportion, up to `hidden`.
  void hide(std::span<const std::string_view> names, Seconds hidden);

  // For sums of many: where a row of this name and phase lies (an empty one is put there), adding by place, and
  // removing rows that nothing was added to.
  std::size_t place(const BreakdownRow& row, std::size_t from = 0);
  void add_at(std::size_t place, const BreakdownRow& row, double times);
  void drop_empty(std::size_t from = 0);
  // Rows of other names or phases follow these; where they begin.
  std::size_t append(const Breakdown& other);
  void reserve(std::size_t rows) { rows_.reserve(rows); }

  const std::vector<BreakdownRow>& rows() const { return rows_; }
  Seconds exposed() const;
  Source source() const;

 private:
  static constexpr std::size_t kUsual = 24;  // rows of one pass
  std::vector<BreakdownRow> rows_;
};

// A range that the true value falls into in about eight of ten cases.
struct Range {
  Seconds value, p10, p90;
};

struct StepCost {
  Seconds makespan;
  Breakdown breakdown;       // by group
  std::vector<OpCost> costs;  // by op
  Timeline timeline;
};

StepCost step_cost(const Step& step, const Machine& machine);

// The same in two: what ops cost and when they run, and what they sum up to.
StepCost timed(const Step& step, const Machine& machine);
Breakdown breakdown_of(const Step& step, const StepCost& cost);

}  // namespace moeline
