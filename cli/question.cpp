// `moeline train` and `moeline layer`: read a scenario, evaluate it, show the answer.
#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/asking.hpp"
#include "cli/commands.hpp"
#include "cli/scenario_flags.hpp"
#include "cli/reporting.hpp"
#include "reports/page_answer.hpp"

namespace moeline {

int say_infeasible(const Infeasible& why, Format format, const std::string& origin) {
  if (format == Format::json) fmt::print("{}\n", infeasible_json(why).dump(2));
  fmt::print(stderr, "moeline: {}: infeasible: {}; {}\n", origin, why.reason, why.advice);
  return kInfeasible;
}

std::string kind_asked(const Json& scenario) {
  const Json::json_pointer kind("/workload/kind");
  return scenario.is_object() && scenario.contains(kind) && scenario[kind] == "layer" ? "layer" : "train";
}

namespace {

// What is piped is as wide as it is, without colours.
Terminal terminal() {
  winsize size{};
  if (isatty(STDOUT_FILENO) != 1) return {};
  const bool known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col >= 40;
  return {.color = std::getenv("NO_COLOR") == nullptr, .width = known ? size.ws_col : 100};
}

int answer(const ScenarioFlags& flags, const std::string& kind) {
  const Json json = flags.scenario(kind);
  const Answer answer = answer_to(json, flags.origin());
  const Scenario& scenario = *answer.scenario;
  write_report(flags.report, [&] { return page_answer(answer, json, flags.origin()); });
  if (const Infeasible* why = std::get_if<Infeasible>(&answer.outcome)) return say_infeasible(*why, flags.output(), flags.origin());
  const Evaluation& evaluation = std::get<Evaluation>(answer.outcome);
  std::vector<std::string> help;
  const TrainEvaluation* train = std::get_if<TrainEvaluation>(&evaluation.answer);
  if (train != nullptr && flags.output() == Format::table) {
    help = best_changes(effects(varied_question(scenario, answer.calibration, evaluation)), {});
  }
  fmt::print("{}", render(evaluation, scenario, flags.output(), terminal(), help));
  if (flags.output() != Format::table && !flags.quiet) {
    for (const Warning& warning : evaluation.warnings) {
      fmt::print(stderr, "moeline: {}: {}\n", warning.message, warning.advice);
    }
  }
  return kAnswered;
}

}  // namespace

void add_train(CLI::App& app, Action& action) {
  CLI::App* command = app.add_subcommand("train", "one optimiser step: time, tokens/s, MFU, memory, breakdown");
  command->footer("Example: moeline train examples/deepseek-v3-256-gb200.json --parallel ep=32 -o json");
  auto flags = std::make_shared<ScenarioFlags>();
  flags->add_to(*command);
  flags->add_training_to(*command);
  command->callback([flags, &action] { action = [flags] { return answer(*flags, "train"); }; });
}

void add_layer(CLI::App& app, Action& action) {
  CLI::App* command = app.add_subcommand("layer", "one MoE layer, forward and backward, op by op");
  command->footer("Example: moeline layer --model deepseek-v3 --hardware h200-sxm --parallel ep=8 --tokens 4096");
  auto flags = std::make_shared<ScenarioFlags>();
  flags->add_to(*command);
  command->add_option("--tokens", flags->tokens, "tokens per device");
  command->callback([flags, &action] { action = [flags] { return answer(*flags, "layer"); }; });
}

}  // namespace moeline
