// `moeline explain`: what holds the answer back?
#include <fmt/format.h>

#include "cli/asking.hpp"
#include "cli/reporting.hpp"
#include "cli/scenario_flags.hpp"
#include "cli/subcommand.hpp"
#include "fit/answer.hpp"
#include "reports/explanation.hpp"
#include "reports/page_answer.hpp"
#include "spec/json.hpp"

namespace moeline {
namespace {

struct Request {
  ScenarioFlags flags;
  std::size_t ops = 8;
};

int explain(const Request& request) {
  const ScenarioFlags& flags = request.flags;
  const Json json = flags.scenario(flags.kind());
  const Answer answer = answer_to(json, flags.origin());
  write_report(flags.report, [&] {
    Json page = page_answer(answer, json, flags.origin());
    const Evaluation* evaluation = std::get_if<Evaluation>(&answer.outcome);
    if (evaluation != nullptr && std::holds_alternative<ServeEvaluation>(evaluation->answer)) add_explanation(page["page"], answer, json, flags.origin());
    return page;
  });
  if (const Infeasible* why = std::get_if<Infeasible>(&answer.outcome))
    return say_infeasible(*why, flags.output(), flags.origin());
  const Question question = varied_question(*answer.scenario, answer.calibration, std::get<Evaluation>(answer.outcome));
  const Explanation explanation = explained(question, answer, json, flags.origin(), request.ops);
  if (flags.output() == Format::json) {
    fmt::print("{}\n", explanation_json(explanation).dump(2));
  } else {
    print_folded(explanation_text(explanation));
  }
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
  request->flags.add_serving_to(*command);
  command->add_option("--ops", request->ops, "how many ops to take apart, longest first; 8 if left out")
      ->check(CLI::Range(0, 1000));
}

}  // namespace moeline
