// `moeline search`: every legal layout of a model on a cluster, the best of them shown, the others counted by reason.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "cli/commands.hpp"
#include "cli/scenario_flags.hpp"
#include "engine/search_run.hpp"
#include "engine/sweep_run.hpp"
#include "fit/calibration_file.hpp"
#include "reports/records.hpp"

namespace moeline {
namespace {

struct SearchFlags {
  ScenarioFlags scenario;
  std::string objective = "time", max_memory;
  std::vector<std::string> fix;
  int top = 10, threads = 0;
};

Calibration calibration_of(const Scenario& scenario) {
  std::string note;
  const std::string& path = scenario.calibration;
  if (path == "none") return {};
  if (path == "auto") return calibration_for(scenario.cluster, note);
  return calibration_from(parse_json(read_file(path), path), path, scenario.cluster, note);
}

Json record_of(const FoundLayout& found) {
  const Parallelism& p = found.layout.parallelism;
  return Json{{"tp", p.tp},
              {"pp", p.pp},
              {"vpp", p.vpp},
              {"ep", p.ep},
              {"etp", p.etp},
              {"cp", p.cp},
              {"dp", p.dp},
              {"zero", p.zero},
              {"micro_batch", found.layout.micro_batch},
              {"recompute", found.layout.recompute->name},
              {"step_time_seconds", found.step.value.in(second)},
              {"step_time_p10_seconds", found.step.p10.in(second)},
              {"step_time_p90_seconds", found.step.p90.in(second)},
              {"tokens_per_second_per_device", found.tokens_per_second_per_device},
              {"mfu", found.mfu},
              {"memory_required_bytes", found.required.in(byte)},
              {"memory_available_bytes", found.available.in(byte)}};
}

std::string screen(const SearchResult& result) {
  std::string text = fmt::format(
      "{:>3} {:>3} {:>3} {:>4} {:>3} {:>3} {:>5} {:>4} {:>5} {:<9} {:>9} {:>21} {:>9} {:>6} {:>9}\n", "tp", "pp", "vpp",
      "ep", "etp", "cp", "dp", "zero", "micro", "recompute", "step", "p10 .. p90", "tok/s/GPU", "MFU", "memory");
  for (const FoundLayout& f : result.best) {
    const Parallelism& p = f.layout.parallelism;
    text += fmt::format(
        "{:>3} {:>3} {:>3} {:>4} {:>3} {:>3} {:>5} {:>4} {:>5} {:<9} {:>9} {:>21} {:>9.0f} {:>4.1f} % {:>9}\n", p.tp,
        p.pp, p.vpp, p.ep, p.etp, p.cp, p.dp, p.zero, f.layout.micro_batch, f.layout.recompute->name, format(f.step.value),
        format(f.step.p10) + " .. " + format(f.step.p90), f.tokens_per_second_per_device, 100 * f.mfu,
        format(f.required));
  }
  text += fmt::format("\n{} legal layouts, {} feasible; the others:\n", result.legal, result.feasible);
  for (const auto& [reason, count] : result.lost) text += fmt::format("{:>9}  {}\n", count, reason);
  return text;
}

int none_runs(const SearchResult& result, const std::string& origin) {
  fmt::print(stderr, "moeline: {}: infeasible: none of {} legal layouts runs; use more devices, or fix less\n", origin,
             result.legal);
  return kInfeasible;
}

int refuse(const Infeasible& why, const std::string& origin) {
  fmt::print(stderr, "moeline: {}: infeasible: {}; {}\n", origin, why.reason, why.advice);
  return kInfeasible;
}

int answer(const SearchFlags& flags) {
  const std::string origin = flags.scenario.origin();
  // All layouts share the batch; left out, it is that of the scenario's own layout.
  const Scenario scenario = read_scenario(flags.scenario.scenario("train"), origin);
  SearchSettings settings;
  settings.top = static_cast<std::size_t>(flags.top);
  settings.by_memory = flags.objective == "memory";
  settings.fixed = read_fixed(flags.fix, "--fix");
  settings.threads = flags.threads > 0 ? flags.threads : threads_of_this_machine();
  settings.progress = !flags.scenario.quiet;
  if (!flags.max_memory.empty()) {
    settings.max_memory = parse<Dimension{.byte = 1}>(flags.max_memory);
    if (!settings.max_memory) {
      throw SpecError("--max-memory",
                      fmt::format("\"{}\": expected a size with its unit, such as \"160 GB\"", flags.max_memory));
    }
  }
  const auto searched = search(scenario, calibration_of(scenario), settings);
  if (const Infeasible* why = std::get_if<Infeasible>(&searched)) return refuse(*why, origin);
  const SearchResult& result = std::get<SearchResult>(searched);
  Json layouts = Json::array();
  for (const FoundLayout& found : result.best) layouts.push_back(record_of(found));
  const Format format = flags.scenario.output();
  if (result.best.empty() && (format == Format::csv || format == Format::markdown)) return none_runs(result, origin);
  switch (format) {
    case Format::csv:
      fmt::print("{}", records_csv(layouts));
      break;
    case Format::markdown:
      fmt::print("{}", records_markdown(layouts));
      break;
    case Format::table:
      fmt::print("{}", screen(result));
      break;
    case Format::json:
      fmt::print("{}\n", Json{{"kind", "search"},
                              {"feasible", !result.best.empty()},
                              {"layouts", layouts},
                              {"legal", result.legal},
                              {"feasible_layouts", result.feasible},
                              {"lost", result.lost}}
                             .dump(2));
  }
  return result.best.empty() ? none_runs(result, origin) : kAnswered;
}

}  // namespace

void add_search(CLI::App& app, Action& action) {
  CLI::App* command = app.add_subcommand("search", "the best layouts of a model on a cluster, and why the others lost");
  command->footer(
      "Example: moeline search --model qwen3-30b-a3b --hardware h200-sxm --devices 16 --fix zero=1 --top 5");
  auto flags = std::make_shared<SearchFlags>();
  flags->scenario.add_to(*command);
  command->add_option("--global-batch", flags->scenario.global_batch, "sequences per optimiser step");
  command->add_option("--top", flags->top, "how many layouts to show: --top 5")->check(CLI::Range(1, 100000));
  take_one_of(command->add_option("--objective", flags->objective, "what is to be small: --objective memory"),
              {"time", "memory"});
  command
      ->add_option(
          "--fix", flags->fix,
          "only layouts with this value of tp, pp, vpp, ep, etp, cp, dp, zero, micro_batch or recompute: --fix pp=4; "
          "repeatable")
      ->take_all()
      ->allow_extra_args(false);
  command->add_option("--max-memory", flags->max_memory, "per device, if less than it has: --max-memory '120 GB'");
  command->add_option("--threads", flags->threads, "how many; all cores if left out: --threads 2")
      ->check(CLI::Range(1, 4096));
  command->callback([flags, &action] { action = [flags] { return answer(*flags); }; });
}

}  // namespace moeline
