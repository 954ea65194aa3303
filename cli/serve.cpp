// `moeline serve`: TTFT, TPOT and throughput of a deployment, or the front of all of them.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "cli/asking.hpp"
#include "cli/commands.hpp"
#include "cli/scenario_flags.hpp"
#include "fit/calibration_file.hpp"
#include "reports/serve_front.hpp"

namespace moeline {
namespace {

int front(const ScenarioFlags& flags) {
  const Scenario scenario = read_scenario(flags.scenario("serve"), flags.origin());
  if (!std::holds_alternative<Gpu>(scenario.cluster.device)) throw SpecError("--pareto", "serving is priced on GPUs");
  std::string note;
  const Calibration calibration = calibration_named(scenario.calibration, scenario.cluster, note, true);
  fmt::print("{}", render(serve_front(scenario, calibration), scenario, flags.output()));
  return kAnswered;
}

}  // namespace

void add_serve(CLI::App& app, Action& action) {
  CLI::App* command = app.add_subcommand("serve", "prefill and decode: TTFT, TPOT, tokens/s, memory, breakdown");
  command->footer(
      "Example: moeline serve --model deepseek-v3 --hardware h200-sxm --parallel tp=8 --input-tokens 1024 --output-tokens 1024 "
      "--concurrency 64");
  auto flags = std::make_shared<ScenarioFlags>();
  auto pareto = std::make_shared<bool>(false);
  flags->add_to(*command);
  flags->add_serving_to(*command);
  command->add_flag("--pareto", *pareto, "cuts and numbers of users that no other beats in speed for a user and tokens a device");
  const auto run = [flags, pareto] {
    if (*pareto && !flags->report.empty()) throw SpecError("--report", "a page shows one deployment; leave out --pareto");
    return *pareto ? front(*flags) : answer(*flags, "serve");
  };
  command->callback([run, &action] { action = run; });
}

}  // namespace moeline
