// Runs a sweep: points in parallel, rows in the order of the points, the same bytes for any number of threads.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "engine/point_reader.hpp"
#include "engine/row_file.hpp"

namespace moeline {

struct SweepSettings {
  std::vector<Condition> where;  // all must hold
  struct Pareto {
    std::size_t x, y;         // columns
    bool x_larger, y_larger;  // is better
  };
  std::optional<Pareto> pareto;
  int threads = 1;
  bool progress = true;  // on a terminal
};

struct SweepCounts {
  std::uint64_t points = 0, before = 0, rows = 0;  // all, done by an earlier run, written by this one
};

// Where rows go when there is no file to go on with.
using WriteText = std::function<void(const std::string&)>;
using RowText = std::function<std::string(const Point&)>;

// `header` opens the output, empty for none. `file` may be null: then rows go to `out`.
SweepCounts run_sweep(const Sweep& sweep, const PointReader& reader, const SweepSettings& settings,
                      const std::string& header, const RowText& row_text, RowFile* file, const WriteText& out);

int threads_of_this_machine();

}  // namespace moeline
