// `moeline sweep FILE`: read what to vary, run every point, write one row each.
#include <fmt/format.h>

#include <cstdio>
#include <memory>

#include "cli/reporting.hpp"
#include "cli/subcommand.hpp"
#include "cli/whole_file.hpp"
#include "engine/sweep_run.hpp"
#include "reports/sweep_page.hpp"
#include "reports/sweep_rows.hpp"

namespace moeline {
namespace {

struct SweepFlags {
  std::string file, format = "csv", out, pareto, report;
  std::vector<std::string> where;
  int threads = 0;
  bool quiet = false;
};

SweepSettings settings_of(const SweepFlags& flags, const Columns& columns, int ranks_here) {
  SweepSettings settings;
  settings.threads = flags.threads > 0 ? flags.threads : threads_of_this_machine(ranks_here);
  settings.progress = !flags.quiet;
  for (const std::string& text : flags.where) settings.where.emplace_back(text, columns, "--where");
  if (!flags.pareto.empty()) {
    const std::size_t comma = flags.pareto.find(',');
    if (comma == std::string::npos)
      throw SpecError("--pareto", "expected two columns: step_time_seconds,memory_required_bytes");
    const std::string x = flags.pareto.substr(0, comma), y = flags.pareto.substr(comma + 1);
    settings.pareto = {columns.place(x, "--pareto"), columns.place(y, "--pareto"), larger_is_better(x),
                       larger_is_better(y)};
  }
  return settings;
}

void to_stdout(const std::string& text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size()) throw SpecError("stdout", "cannot be written");
}

// What every rank reads.
struct Question {
  Question(const SweepFlags& flags, int ranks_here)
      : sweep(read_sweep(parse_json(read_file(flags.file), flags.file), flags.file)),
        reader(sweep, flags.file),
        settings(settings_of(flags, reader.columns(), ranks_here)),
        csv(flags.format == "csv"),
        row([this](const Point& point) { return csv ? sweep_csv_row(point) : sweep_json_row(point, reader.columns()); }) {}

  Sweep sweep;
  PointReader reader;
  SweepSettings settings;
  bool csv;
  RowText row;
};

std::unique_ptr<RowFile> open_file(const SweepFlags& flags, const Question& question) {
  if (flags.out.empty()) return nullptr;
  const std::string how = fmt::format("{} {} {}", flags.format, flags.pareto, fmt::join(flags.where, " "));
  auto file = std::make_unique<RowFile>(flags.out, question.reader.fingerprint(how));
  const FileProgress& before = file->before();
  if (before.points > 0 && !flags.quiet) {
    fmt::print(stderr, "moeline: {}: {} of {} points are {}{}\n", flags.out, before.points, question.sweep.points(),
               flags.pareto.empty() || before.complete ? "there already" : "in the front already",
               before.complete ? "" : ", going on");
  }
  return file;
}

int run(const SweepFlags& flags, int ranks_here = 1, Turns* turns = nullptr) {
  const Question question(flags, ranks_here);
  const std::unique_ptr<RowFile> file = open_file(flags, question);
  std::string rows;  // for the page; those of a file are read from it
  const auto write = [&](const std::string& text) {
    to_stdout(text);
    if (!flags.report.empty()) rows += text;
  };
  run_sweep(question.sweep, question.reader, question.settings,
            question.csv ? sweep_csv_header(question.reader.columns()) : "", question.row, file.get(), write, turns);
  write_report(flags.report, [&] { return sweep_page(file ? whole_text(flags.out) : std::move(rows), flags.file); });
  if (std::fflush(stdout) != 0) throw SpecError("stdout", "cannot be written");
  return kAnswered;
}

// Rank 0: speaks for all, and all end with its exit code.
int lead(const SweepFlags& flags, Ranks& ranks) {
  Turns turns(ranks);
  const int code = answer_of([&] { return run(flags, ranks.here, &turns); });
  const int silent = turns.dismiss(code);
  if (silent > 0 && code == kAnswered) {
    fmt::print(stderr, "moeline: {} of {} ranks ended early; rank 0 computed their points\n", silent, ranks.size);
  }
  return code;
}

// Every other rank.
int serve(const SweepFlags& flags, Ranks& ranks) {
  try {
    const Question question(flags, ranks.here);
    return serve_sweep(ranks, question.reader, question.settings, question.row);
  } catch (const std::exception& error) {
    return take_no_turns(ranks, error.what());
  }
}

int run_launched(const SweepFlags& flags) {
  const std::unique_ptr<Ranks> ranks = ranks_of_this_run();
  if (ranks == nullptr) return run(flags);
  return ranks->rank == 0 ? lead(flags, *ranks) : serve(flags, *ranks);
}

}  // namespace

void add_sweep(CLI::App& app, Action& action) {
  const auto [command, flags] =
      subcommand(app, action, run_launched, "sweep", "vary anything over values, in parallel; one row per point",
                 "Example: moeline sweep examples/sweeps/qwen3-30b-h200.json --where memory_fits\n"
                 "On several machines: mpirun -n 64 moeline sweep FILE --out rows.csv   (or srun)");
  command
      ->add_option("file", flags->file,
                   "{\"scenario\": {...}, \"vary\": {\"/parallelism/ep\": [16, 32]}, \"mode\": \"grid\"}")
      ->required();
  take_one_of(command->add_option("-o,--output", flags->format, "csv, or json: one object a line"), {"csv", "json"});
  command->add_option("--out", flags->out,
                      "write to this file; the same command goes on where a killed one was: --out rows.csv");
  command
      ->add_option("--where", flags->where,
                   "keep rows that are feasible, memory_fits, or COLUMN<NUMBER: --where 'mfu>=0.2'; repeatable")
      ->take_all()
      ->allow_extra_args(false);
  command->add_option("--pareto", flags->pareto,
                      "keep rows that no other beats in two columns: --pareto devices,step_time_seconds");
  command->add_option("--threads", flags->threads, "how many; all cores if left out: --threads 2")
      ->check(CLI::Range(1, 4096));
  add_report_to(*command, flags->report);
  command->add_flag("--quiet", flags->quiet, "no progress and no notes on stderr");
}

}  // namespace moeline
