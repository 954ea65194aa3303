// `moeline explain`: what holds the answer back?
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/asking.hpp"
#include "cli/commands.hpp"
#include "cli/scenario_flags.hpp"
#include "cli/reporting.hpp"
#include "reports/page_answer.hpp"

namespace moeline {
namespace {

int explain(const ScenarioFlags& flags, std::size_t ops) {
  const Json json = flags.scenario(flags.kind());
  const Answer answer = answer_to(json, flags.origin());
  write_report(flags.report, [&] { return page_answer(answer, json, flags.origin()); });
  if (const Infeasible* why = std::get_if<Infeasible>(&answer.outcome))
    return say_infeasible(*why, flags.output(), flags.origin());
  const Question question = varied_question(*answer.scenario, answer.calibration, std::get<Evaluation>(answer.outcome));
  const Explanation explanation = explained(question, answer, json, flags.origin(), ops);
  if (flags.output() == Format::json) {
    fmt::print("{}\n", explanation_json(explanation).dump(2));
  } else {
    fmt::print("{}", explanation_text(explanation));
  }
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
