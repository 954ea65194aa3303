#include "engine/sweep_run.hpp"

#include <tbb/info.h>

#include <algorithm>

#include "engine/in_order.hpp"
#include "engine/progress.hpp"

namespace moeline {
namespace {

// One point after the work that needs no order: its row if it is kept, and its place for the front.
struct Row {
  bool kept = false;
  double x = 0, y = 0;
  std::string text;
};

Row row_of(const Point& point, const SweepSettings& settings, const RowText& row_text) {
  Row row;
  row.kept = std::all_of(settings.where.begin(), settings.where.end(),
                         [&](const Condition& condition) { return condition.holds(point); });
  if (row.kept && settings.pareto) {
    const std::optional<double> x = number_in(point, settings.pareto->x), y = number_in(point, settings.pareto->y);
    row.kept = point.feasible && x && y;
    if (row.kept) {
      row.x = settings.pareto->x_larger ? -*x : *x;
      row.y = settings.pareto->y_larger ? -*y : *y;
    }
  }
  if (row.kept) row.text = row_text(point);
  return row;
}

}  // namespace

int threads_of_this_machine() { return tbb::info::default_concurrency(); }

SweepCounts run_sweep(const Sweep& sweep, const PointReader& reader, const SweepSettings& settings,
                      const std::string& header, const RowText& row_text, RowFile* file, const WriteText& out) {
  FileProgress progress = file != nullptr ? file->before() : FileProgress{};
  SweepCounts counts{.points = sweep.points(), .before = progress.points, .rows = 0};
  if (progress.complete) return counts;
  const auto write = [&](const std::string& text) { file != nullptr ? file->write(text) : out(text); };
  ParetoFront front;
  for (const FrontRow& row : progress.front) front.add(row);
  progress.front.clear();
  if (progress.bytes == 0 && progress.points == 0 && !settings.pareto) write(header);
  {
    Progress shown(counts.before, counts.points, settings.progress);
    in_order(
        counts.before, counts.points, settings.threads,
        [&](std::uint64_t number) { return row_of(reader.point(number), settings, row_text); },
        [&](std::uint64_t number, Row row) {
          if (row.kept && settings.pareto) {
            front.add({number, row.x, row.y, std::move(row.text)});
          } else if (row.kept) {
            write(row.text);
            ++counts.rows;
          }
          progress.points = number + 1;
          if (file != nullptr && file->note_is_due()) {
            FileProgress note = progress;
            if (settings.pareto) note.front = front.rows();
            file->note(note);
          }
          shown.at(number + 1);
          return true;
        });
  }
  if (settings.pareto) {
    write(header);
    for (const FrontRow& row : front.rows()) write(row.text);
    counts.rows = front.rows().size();
  }
  progress.complete = true;
  if (file != nullptr) file->note(progress);
  return counts;
}

}  // namespace moeline
