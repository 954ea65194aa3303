// `moeline serve`: TTFT, TPOT and throughput of a deployment, or the front of all of them.
#include <fmt/format.h>

#include "cli/asking.hpp"
#include "cli/scenario_flags.hpp"
#include "cli/subcommand.hpp"
#include "fit/calibration_file.hpp"
#include "reports/serve_front.hpp"

namespace moeline {
namespace {

struct Request {
  ScenarioFlags flags;
  bool pareto = false;
};

int front(const ScenarioFlags& flags) {
  const Scenario scenario = read_scenario(flags.scenario("serve"), flags.origin());
  if (!std::holds_alternative<Gpu>(scenario.cluster.device)) throw SpecError("--pareto", "serving is priced on GPUs");
  const Calibration calibration = calibration_named(scenario.calibration, scenario.cluster, true);
  fmt::print("{}", render(serve_front(scenario, calibration), scenario, flags.output()));
  return kAnswered;
}

int serve(const Request& request) {
  if (!request.pareto) return answer(request.flags, "serve");
  if (!request.flags.report.empty()) throw SpecError("--report", "a page shows one deployment; leave out --pareto");
  return front(request.flags);
}

}  // namespace

void add_serve(CLI::App& app, Action& action) {
  const auto [command, request] =
      subcommand(app, action, serve, "serve", "prefill and decode: TTFT, TPOT, tokens/s, memory, breakdown",
                 "Example: moeline serve --model deepseek-v3 --hardware h200-sxm --parallel tp=8 --input-tokens 1024 --output-tokens 1024 "
                 "--concurrency 64");
  request->flags.add_to(*command);
  request->flags.add_serving_to(*command);
  command->add_flag("--pareto", request->pareto,
                    "cuts and numbers of users that no other beats in speed for a user and tokens a device");
}

}  // namespace moeline
