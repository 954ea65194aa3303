// `moeline solve`: which input gives a wanted answer?
#include <fmt/format.h>

#include "cli/reporting.hpp"
#include "cli/scenario_flags.hpp"
#include "cli/subcommand.hpp"
#include "fit/calibration_file.hpp"
#include "reports/solution.hpp"

namespace moeline {
namespace {

struct Request {
  ScenarioFlags flags;
  std::string vary, want, from, to;
};

int solve(const Request& request) {
  const ScenarioFlags& flags = request.flags;
  const std::string kind = flags.kind();
  const Json json = flags.scenario(kind);
  const Wanted wanted = read_wanted(request.want, kind);
  const Scenario scenario = read_scenario(json, flags.origin());
  const Calibration calibration = calibration_named(scenario.calibration, scenario.cluster, kind == "serve");
  const VariedInput input = varied_input(json, flags.origin(), request.vary);
  RootProblem problem = root_problem(json, flags.origin(), calibration, input, wanted);
  if (!request.from.empty()) problem.from = input.read(request.from);
  if (!request.to.empty()) problem.to = input.read(request.to);
  if (problem.from.value_or(input.value) >= problem.to.value_or(input.value) && (problem.from || problem.to))
    throw SpecError("--from, --to",
                    "expected a range: --from below --to (the present value stands for the one left out)");
  const Root root = root_of(problem);
  write_report(flags.report, [&] { return solution_page(root, input, wanted, scenario); });
  const bool json_wanted = flags.output() == Format::json;
  if (!root.found) {
    if (json_wanted) fmt::print("{}\n", solution_json(root, input, wanted).dump(2));
    fmt::print(stderr, "moeline: {}: no solution: {}\n", flags.origin(), no_solution(root, input, wanted));
    return kInfeasible;
  }
  fmt::print("{}", json_wanted ? solution_json(root, input, wanted).dump(2) + "\n" : solution_text(root, input, wanted));
  return kAnswered;
}

}  // namespace

void add_solve(CLI::App& app, Action& action) {
  const auto [command, request] = subcommand(
      app, action, solve, "solve", "the input that gives a wanted answer",
      "Example: moeline solve examples/deepseek-v3-256-gb200.json --vary /hardware/device/hbm_bandwidth --want "
      "step_time='14 s'");
  request->flags.add_to(*command, {"table", "json"});
  request->flags.add_workload_to(*command);
  request->flags.add_serving_to(*command);
  command
      ->add_option("--vary", request->vary,
                   "pointer to a number of the scenario, e.g. /hardware/fabric/1/bandwidth, /workload/sequence or "
                   "/workload/concurrency")
      ->required();
  command
      ->add_option("--want", request->want,
                   "KEY=VALUE: step_time='12 s', mfu=0.4, tokens_per_second, tokens_per_second_per_device, memory='100 GB', "
                   "memory_headroom='10 GB', cost_per_million_tokens, kilowatt_hours_per_million_tokens; "
                   "of a layer: layer_time, forward_time, backward_time; of serving: tpot='20 ms', ttft, the same but mfu and "
                   "energy, tokens_per_second_per_user, requests_per_second, max_concurrency")
      ->required();
  command->add_option("--from", request->from,
                      "search from this value, e.g. '2 TB/s'; else by factors of two around the present one");
  command->add_option("--to", request->to, "search up to this value, e.g. '20 TB/s'");
}

}  // namespace moeline
