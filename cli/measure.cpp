// `moeline measure`: runs kernels, exchanges and passes over memory on this machine -> measurements.jsonl.
#include <fmt/chrono.h>
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <memory>

#include "cli/commands.hpp"
#include "cli/measuring.hpp"
#include "engine/progress.hpp"
#include "engine/run_failed.hpp"

namespace moeline {

void MeasureFlags::add_to(CLI::App& command) {
  take_one_of(command.add_option("--backend", backend, "what is measured: cuda, host, or auto (a GPU if there is one)"),
              {"cuda", "host", "auto"});
  command.add_option("--suite", suite, "quick, full, or a file of cases (docs/guide/calibrate.md)");
  command.add_flag("--quiet", quiet, "no progress and no notes on stderr");
}

LoadedBackend loaded_backend(const MeasureFlags& flags) {
  std::string note;
  LoadedBackend loaded = load_backend(flags.backend, note);
  if (!note.empty() && !flags.quiet) fmt::print(stderr, "moeline: {}\n", note);
  return loaded;
}

namespace {

// What a run is called in its records: the time it began.
std::string name_of_run() {
  return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}",
                     fmt::gmtime(std::chrono::system_clock::to_time_t(std::chrono::system_clock::now())));
}

}  // namespace

Counts measured(LoadedBackend& loaded, const Suite& suite, const std::vector<Task>& tasks, const MeasureFlags& flags) {
  std::optional<Progress> progress;
  const Watch watch = [&](std::size_t done, std::size_t all) {
    if (!progress) progress.emplace(done, all, !flags.quiet);
    progress->at(done);
  };
  const Counts counts = measure_cases(loaded, suite, tasks, name_of_run(), watch);
  progress.reset();
  if (flags.quiet) return counts;
  if (counts.not_offered > 0)
    fmt::print(stderr, "moeline: {} cases left out: this machine cannot run them\n", counts.not_offered);
  if (counts.failed > 0) fmt::print(stderr, "moeline: {} cases failed; their records say why\n", counts.failed);
  return counts;
}

namespace {

int measure(const MeasureFlags& flags, const std::string& out) {
  LoadedBackend loaded = loaded_backend(flags);
  const Suite suite = find_suite(flags.suite, loaded.name);
  RecordFile file(out, loaded.machine);
  const Counts counts = measured(loaded, suite, tasks_of(suite.cases, file), flags);
  fmt::print("{}: {} measured, {} there before, {} failed, on {}\n", out, counts.measured, counts.before, counts.failed,
             loaded.machine.device);
  return counts.measured + counts.before > 0 ? kAnswered : kRunFailed;
}

}  // namespace

void add_measure(CLI::App& app, Action& action) {
  CLI::App* command = app.add_subcommand("measure", "run kernels, exchanges and passes over memory on this machine");
  command->footer("Example: moeline measure --backend host --suite quick --out measurements.jsonl");
  auto flags = std::make_shared<MeasureFlags>();
  auto out = std::make_shared<std::string>("measurements.jsonl");
  flags->add_to(*command);
  command->add_option("--out", *out, "file of records; one that is there is gone on with");
  command->callback([=, &action] { action = [=] { return measure(*flags, *out); }; });
}

}  // namespace moeline
