// `moeline sweep FILE`: read what to vary, run every point, write one row each.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>

#include "cli/commands.hpp"
#include "engine/sweep_run.hpp"
#include "reports/sweep_rows.hpp"

namespace moeline {
namespace {

struct SweepFlags {
  std::string file, format = "csv", out, pareto;
  std::vector<std::string> where;
  int threads = 0;
  bool quiet = false;
};

SweepSettings settings_of(const SweepFlags& flags, const Columns& columns) {
  SweepSettings settings;
  settings.threads = flags.threads > 0 ? flags.threads : threads_of_this_machine();
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

int run(const SweepFlags& flags) {
  const Sweep sweep = read_sweep(parse_json(read_file(flags.file), flags.file), flags.file);
  const PointReader reader(sweep, flags.file);
  const Columns& columns = reader.columns();
  const SweepSettings settings = settings_of(flags, columns);
  const bool csv = flags.format == "csv";
  const RowText text = [&](const Point& point) { return csv ? sweep_csv_row(point) : sweep_json_row(point, columns); };
  std::unique_ptr<RowFile> file;
  if (!flags.out.empty()) {
    const std::string how = fmt::format("{} {} {}", flags.format, flags.pareto, fmt::join(flags.where, " "));
    file = std::make_unique<RowFile>(flags.out, reader.fingerprint(how));
    if (file->before().points > 0 && !flags.quiet) {
      fmt::print(stderr, "moeline: {}: {} of {} points are there already{}\n", flags.out, file->before().points,
                 sweep.points(), file->before().complete ? "" : ", going on");
    }
  }
  run_sweep(sweep, reader, settings, csv ? sweep_csv_header(columns) : "", text, file.get(), to_stdout);
  if (std::fflush(stdout) != 0) throw SpecError("stdout", "cannot be written");
  return kAnswered;
}

}  // namespace

void add_sweep(CLI::App& app, Action& action) {
  CLI::App* command = app.add_subcommand("sweep", "vary anything over values, in parallel; one row per point");
  command->footer("Example: moeline sweep examples/sweeps/qwen3-30b-h200.json --where memory_fits");
  auto flags = std::make_shared<SweepFlags>();
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
  command->add_flag("--quiet", flags->quiet, "no progress and no notes on stderr");
  command->callback([flags, &action] { action = [flags] { return run(*flags); }; });
}

}  // namespace moeline
