// `moeline explain`: what holds the answer back?
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "cli/asking.hpp"
#include "cli/commands.hpp"
#include "cli/scenario_flags.hpp"
#include "fit/answer.hpp"
#include "reports/explanation.hpp"

namespace moeline {
namespace {

int explain(const ScenarioFlags& flags, std::size_t ops) {
  const Json json = flags.scenario(flags.kind());
  const auto [asked, calibration, outcome] = answer_to(json, flags.origin());
  const Scenario& scenario = *asked;
  if (const Infeasible* why = std::get_if<Infeasible>(&outcome))
    return say_infeasible(*why, flags.output(), flags.origin());
  const Evaluation& evaluation = std::get<Evaluation>(outcome);
  const Question question = varied_question(scenario, calibration, evaluation);
  Explanation explanation{scenario,
                          evaluation,
                          elasticities(question),
                          without_each(question, evaluation),
                          {},
                          explained_ops(question, evaluation, ops)};
  if (const TrainEvaluation* train = std::get_if<TrainEvaluation>(&evaluation.answer))
    explanation.neighbours = layout_neighbours(json, flags.origin(), scenario, calibration, *train);
  fmt::print("{}", flags.output() == Format::json ? explanation_json(explanation) : explanation_text(explanation));
  return kAnswered;
}

}  // namespace

void add_explain(CLI::App& app, Action& action) {
  CLI::App* command = app.add_subcommand(
      "explain", "what holds it back: effect of every input, parts taken away, ops by their numbers");
  command->footer("Example: moeline explain examples/deepseek-v3-256-gb200.json --ops 5");
  auto flags = std::make_shared<ScenarioFlags>();
  flags->add_to(*command, {"table", "json"});
  flags->add_workload_to(*command);
  auto ops = std::make_shared<std::size_t>(8);
  command->add_option("--ops", *ops, "how many ops to take apart, longest first; 8 if left out")
      ->check(CLI::Range(0, 1000));
  command->callback([=, &action] { action = [=] { return explain(*flags, *ops); }; });
}

}  // namespace moeline
