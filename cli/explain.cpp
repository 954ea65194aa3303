// `moeline explain`: what holds the answer back?
#include <fmt/format.h>


#include "cli/asking.hpp"
#include "cli/scenario_flags.hpp"
#include "cli/subcommand.hpp"
#include "fit/answer.hpp"
#include "reports/explanation.hpp"

namespace moeline {
namespace {

struct Request {
  ScenarioFlags flags;
  std::size_t ops = 8;
};

int explain(const Request& request) {
  const ScenarioFlags& flags = request.flags;
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
                          explained_ops(question, evaluation, request.ops)};
  if (const TrainEvaluation* train = std::get_if<TrainEvaluation>(&evaluation.answer))
    explanation.neighbours = layout_neighbours(json, flags.origin(), scenario, calibration, *train);
  fmt::print("{}", flags.output() == Format::json ? explanation_json(explanation) : explanation_text(explanation));
  return kAnswered;
}

}  // namespace

void add_explain(CLI::App& app, Action& action) {
  const auto [command, request] =
      subcommand(app, action, explain, "explain",
                 "what holds it back: effect of every input, parts taken away, ops by their numbers",
                 "Example: moeline explain examples/deepseek-v3-256-gb200.json --ops 5");
  request->flags.add_to(*command, {"table", "json"});
  request->flags.add_workload_to(*command);
  command->add_option("--ops", request->ops, "how many ops to take apart, longest first; 8 if left out")
      ->check(CLI::Range(0, 1000));
}

}  // namespace moeline
