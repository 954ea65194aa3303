// `moeline measure`: runs kernels, exchanges and passes over memory on this machine -> measurements.jsonl.
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <sched.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstring>
#include <memory>

#include "cli/commands.hpp"
#include "cli/measuring.hpp"
#include "engine/last_words.hpp"
#include "engine/progress.hpp"
#include "engine/ranked_exchange.hpp"
#include "engine/run_failed.hpp"

namespace moeline {

void MeasureFlags::add_to(CLI::App& command) {
  take_one_of(
      command.add_option("--backend", backend,
                         "what is measured: cuda, host, or auto (a GPU if there is one, and the host under mpirun)"),
      {"cuda", "host", "auto"});
  command.add_option("--suite", suite, "quick, full, or a file of cases (docs/guide/calibrate.md)");
  command.add_flag("--quiet", quiet, "no progress and no notes on stderr");
}

namespace {

// While it lives, this thread and those that it starts may use every core, whatever the launcher bound rank 0 to: what
// is no exchange is measured on the whole machine.
class Unbound {
 public:
  Unbound() {
    ::sched_getaffinity(0, sizeof bound_, &bound_);
    cpu_set_t every;
    std::memset(&every, 0xff, sizeof every);
    ::sched_setaffinity(0, sizeof every, &every);
  }
  ~Unbound() { ::sched_setaffinity(0, sizeof bound_, &bound_); }
  Unbound(const Unbound&) = delete;
  Unbound& operator=(const Unbound&) = delete;

 private:
  cpu_set_t bound_{};
};

LoadedBackend loaded_backend(const std::string& name, bool quiet) {
  std::string note;
  LoadedBackend loaded = load_backend(name, note);
  if (!note.empty() && !quiet) fmt::print(stderr, "moeline: {}\n", note);
  return loaded;
}

int lead(Ranks& ranks, bool quiet, const std::function<int(LoadedBackend&)>& answer) {
  const int code = answer_of([&] {
    if (ranks.here < ranks.size) {
      throw RunFailed(
          fmt::format("{} of {} ranks are on other machines, and a profile is that of one: start all on one",
                      ranks.size - ranks.here, ranks.size));
    }
    LoadedBackend loaded = [&] {
      const Unbound unbound;
      return loaded_backend("host", quiet);
    }();
    exchange_among(ranks, loaded);
    return answer(loaded);
  });
  dismiss(ranks, code, {});
  return code;
}

}  // namespace

int answer_measured(const MeasureFlags& flags, const std::function<int(LoadedBackend&)>& answer) {
  if (launched().size > 1 && flags.backend == "cuda")
    throw SpecError("--backend cuda", "one process measures every GPU; start it without mpirun");
  const std::unique_ptr<Ranks> ranks = ranks_of_this_run();
  if (ranks && ranks->rank > 0) return take_part(*ranks, [] { return backend_module("host"); });
  if (ranks) return lead(*ranks, flags.quiet, answer);
  LoadedBackend loaded = loaded_backend(flags.backend, flags.quiet);
  return answer(loaded);
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
  say_when_stopped("moeline: stopped; the records on the disk are kept, and the same command goes on");
  const Counts counts = measure_cases(loaded, suite, tasks, name_of_run(), watch);
  progress.reset();
  if (flags.quiet) return counts;
  if (counts.not_offered > 0)
    fmt::print(stderr, "moeline: {} cases left out: this machine cannot run them\n", counts.not_offered);
  if (counts.failed > 0) fmt::print(stderr, "moeline: {} cases failed; their records say why\n", counts.failed);
  return counts;
}

namespace {

int measure_with(LoadedBackend& loaded, const MeasureFlags& flags, const std::string& out) {
  const Suite suite = find_suite(flags.suite, loaded.name);
  RecordFile file(out, loaded.machine);
  const Counts counts = measured(loaded, suite, tasks_of(suite.cases, file), flags);
  fmt::print("{}: {} measured, {} there before, {} failed, on {}\n", out, counts.measured, counts.before, counts.failed,
             loaded.machine.device);
  return counts.measured + counts.before > 0 ? kAnswered : kRunFailed;
}

int measure(const MeasureFlags& flags, const std::string& out) {
  return answer_measured(flags, [&](LoadedBackend& loaded) { return measure_with(loaded, flags, out); });
}

}  // namespace

void add_measure(CLI::App& app, Action& action) {
  CLI::App* command = app.add_subcommand("measure", "run kernels, exchanges and passes over memory on this machine");
  command->footer(
      "Example: moeline measure --backend host --suite quick --out measurements.jsonl\n"
      "Exchanges between processes, one a core: mpirun -n 16 moeline measure --backend host   (or srun)");
  auto flags = std::make_shared<MeasureFlags>();
  auto out = std::make_shared<std::string>("measurements.jsonl");
  flags->add_to(*command);
  command->add_option("--out", *out, "file of records; one that is there is gone on with");
  command->callback([=, &action] { action = [=] { return measure(*flags, *out); }; });
}

}  // namespace moeline
