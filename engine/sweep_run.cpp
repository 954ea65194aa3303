#include "engine/sweep_run.hpp"

#include <fmt/format.h>
#include <tbb/info.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "engine/in_order.hpp"
#include "engine/last_words.hpp"
#include "engine/progress.hpp"
#include "engine/turns.hpp"

namespace moeline {
namespace {

// What is kept of one point, after the work that needs no order; x and y only for a front.
using KeptRow = std::optional<FrontRow>;

KeptRow row_of(const PointReader& reader, std::uint64_t number, const SweepSettings& settings,
               const RowText& row_text) {
  const Point point = reader.point(number);
  const bool kept = std::all_of(settings.where.begin(), settings.where.end(),
                                [&](const Condition& condition) { return condition.holds(point); });
  if (!kept) return std::nullopt;
  FrontRow row{.point = number};
  if (settings.pareto) {
    const std::optional<double> x = number_in(point, settings.pareto->x), y = number_in(point, settings.pareto->y);
    if (!point.feasible || !x || !y) return std::nullopt;
    row.x = settings.pareto->x_larger ? -*x : *x;
    row.y = settings.pareto->y_larger ? -*y : *y;
  }
  row.text = row_text(point);
  return row;
}

// --- rows between ranks: point, x, y, length, text ------------------------------------------------------------------
struct RowHead {
  std::uint64_t point;
  double x, y;
  std::uint64_t length;
};

std::string packed_rows(std::uint64_t first, std::uint64_t last, const PointReader& reader,
                        const SweepSettings& settings, const RowText& row_text) {
  std::string packed;
  in_order(
      first, last, settings.threads, [&](std::uint64_t number) { return row_of(reader, number, settings, row_text); },
      [&](std::uint64_t, const KeptRow& row) {
        if (!row) return true;
        const RowHead head{row->point, row->x, row->y, row->text.size()};
        packed.append(reinterpret_cast<const char*>(&head), sizeof head).append(row->text);
        return true;
      });
  return packed;
}

template <class Take>
void unpack_rows(const std::string& packed, const Take& take) {
  for (std::size_t at = 0; at < packed.size();) {
    RowHead head{};
    std::memcpy(&head, packed.data() + at, sizeof head);
    at += sizeof head;
    take(FrontRow{head.point, head.x, head.y, packed.substr(at, head.length)});
    at += head.length;
  }
}

// --- rows in order, to where they are wanted ------------------------------------------------------------------------
class Output {
 public:
  Output(const SweepSettings& settings, std::uint64_t points, const std::string& header, RowFile* file,
         const WriteText& out)
      : settings_(settings),
        header_(header),
        file_(file),
        out_(out),
        progress_(file != nullptr ? file->before() : FileProgress{}),
        points_(points),
        shown_(progress_.points, points, settings.progress) {
    for (const FrontRow& row : progress_.front) front_.add(row);
    progress_.front.clear();
    if (file_ != nullptr) prepare_last_words();
    if (progress_.bytes == 0 && progress_.points == 0 && !settings_.pareto) write(header_);
  }

  void keep(FrontRow row) {
    if (!settings_.pareto) return write(row.text);
    front_.add(std::move(row));
    if (front_.size() > settings_.largest_front) {
      throw SpecError("--pareto", fmt::format("more than {} rows that no other beats; narrow them with --where, or "
                                              "vary fewer fields",
                                              settings_.largest_front));
    }
  }

  // All rows of the first `points` have been kept.
  void reached(std::uint64_t points) {
    progress_.points = points;
    if (file_ != nullptr && file_->note_is_due()) note();
    shown_.at(points);
  }

  void finish() {
    if (settings_.pareto) {
      write(header_);
      for (const FrontRow& row : front_.rows()) write(row.text);
    }
    progress_.complete = true;
    if (file_ == nullptr) return;
    file_->note(progress_);
    prepare_last_words();
  }

 private:
  void write(const std::string& text) { file_ != nullptr ? file_->write(text) : out_(text); }

  void note() {
    FileProgress now = progress_;
    if (settings_.pareto) now.front = front_.rows();
    file_->note(now);
    prepare_last_words();
  }

  void prepare_last_words() const {
    const std::string missing =
        fmt::format("stopped; points {} to {} are missing{}; the same command goes on", progress_.points + 1, points_,
                    settings_.pareto ? ", and the front so far is kept beside it" : "");
    say_when_stopped(fmt::format("moeline: {}: {}", file_->path(), progress_.complete ? "complete" : missing));
  }

  const SweepSettings& settings_;
  const std::string& header_;
  RowFile* file_;
  const WriteText& out_;
  FileProgress progress_;
  std::uint64_t points_;
  Progress shown_;
  ParetoFront front_;
};

}  // namespace

int threads_of_this_machine(int ranks_here) {
  const auto share = static_cast<int>(::sysconf(_SC_NPROCESSORS_ONLN)) / ranks_here;
  return std::max(1, std::min(tbb::info::default_concurrency(), share));
}

void run_sweep(const Sweep& sweep, const PointReader& reader, const SweepSettings& settings, const std::string& header,
               const RowText& row_text, RowFile* file, const WriteText& out, Turns* turns) {
  if (file != nullptr && file->before().complete) return;
  const std::uint64_t first = file != nullptr ? file->before().points : 0, last = sweep.points();
  if (file == nullptr && turns != nullptr) {
    say_when_stopped("moeline: stopped before the last row; with --out FILE the same command can go on");
  }
  Output output(settings, last, header, file, out);
  if (turns != nullptr) {
    turns->hand_out(
        first, last, settings.threads,
        [&](std::uint64_t from, std::uint64_t to) { return packed_rows(from, to, reader, settings, row_text); },
        [&](std::uint64_t points, const std::string& packed) {
          unpack_rows(packed, [&](FrontRow row) { output.keep(std::move(row)); });
          output.reached(points);
        });
  } else {
    in_order(
        first, last, settings.threads, [&](std::uint64_t number) { return row_of(reader, number, settings, row_text); },
        [&](std::uint64_t number, KeptRow row) {
          if (row) output.keep(std::move(*row));
          output.reached(number + 1);
          return true;
        });
  }
  output.finish();
}

int serve_sweep(Ranks& ranks, const PointReader& reader, const SweepSettings& settings, const RowText& row_text) {
  return take_turns(ranks, settings.threads, [&](std::uint64_t first, std::uint64_t last) {
    return packed_rows(first, last, reader, settings, row_text);
  });
}

}  // namespace moeline
