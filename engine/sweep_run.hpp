// Runs a sweep: points in parallel, rows in the order of the points, the same bytes for any number of threads and
// ranks.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "engine/point_reader.hpp"
#include "engine/row_file.hpp"
#include "engine/turns.hpp"

namespace moeline {

struct SweepSettings {
  std::vector<Condition> where;  // all must hold
  struct Pareto {
    std::size_t x, y;         // columns
    bool x_larger, y_larger;  // is better
  };
  std::optional<Pareto> pareto;
  std::size_t largest_front = 100000;  // rows, held in memory and in the note: some 200 MB
  int threads = 1;
  bool progress = true;  // on a terminal
};

// Where rows go when there is no file to go on with.
using WriteText = std::function<void(const std::string&)>;
using RowText = std::function<std::string(const Point&)>;

// `header` opens the output, empty for none. `file` may be null: then rows go to `out`. With `turns` other ranks work
// too.
void run_sweep(const Sweep& sweep, const PointReader& reader, const SweepSettings& settings, const std::string& header,
               const RowText& row_text, RowFile* file, const WriteText& out, Turns* turns = nullptr);

// The other ranks' side: works for rank 0 until it says to end; the exit code.
int serve_sweep(Ranks& ranks, const PointReader& reader, const SweepSettings& settings, const RowText& row_text);

// For one of so many ranks on this machine.
int threads_of_this_machine(int ranks_here = 1);

}  // namespace moeline
