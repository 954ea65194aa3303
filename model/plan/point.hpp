// What is one row of a sweep? The varied values, then the figures of the answer, what it chose, whether it runs, and if
// not why.
//
// An infeasible point has a reason and, where memory is the limit, the two memory figures; a point whose scenario is
// wrong has a reason and nothing else. Which rows are kept: a condition on one column, and the Pareto front of two.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "plan/training/train.hpp"

namespace moeline {

struct Point {
  std::vector<Json> varied;
  std::vector<std::optional<double>> figures;  // by Columns::figures
  std::optional<std::string> recompute_chosen{};  // so that the step fits, where that is open; empty: nothing
  bool feasible = false;
  std::string reason;  // one line; empty when feasible
};

struct Columns {
  std::vector<std::string> varied;   // pointers
  std::vector<std::string> figures;  // of a training step or of a layer, in SI base units
  bool recompute_chosen = false;     // a column of words, where the workload leaves that open

  // Place of a column by name, by the last word of a pointer ("ep") too; SpecError with the nearest name.
  std::size_t place(const std::string& name, const std::string& where) const;
};

// `kind` is "train" or "layer".
Columns columns_of(const std::string& kind, std::vector<std::string> varied);

Point point_of(const Outcome& outcome, const Columns& columns);
Point point_of(const StepAnswer& step, const Columns& columns);
Point bad_point(const std::string& reason, const Columns& columns);

// The number in a column; a string with a unit in SI base units; none where the point has no number there.
std::optional<double> number_in(const Point& point, std::size_t place);

// Is more of it better? Throughput and MFU; less is better of time, memory, devices and all else.
bool larger_is_better(const std::string& column);

// "feasible", "memory_fits", "mfu>0.4", "memory_required_bytes<160 GB".
class Condition {
 public:
  Condition(const std::string& text, const Columns& columns, const std::string& where);
  bool holds(const Point& point) const;

 private:
  enum class Relation { less, at_most, equal, at_least, greater };
  std::vector<std::size_t> fits_;  // required and available memory
  std::optional<std::size_t> place_;
  Relation relation_ = Relation::less;
  double bound_ = 0;
};

}  // namespace moeline
