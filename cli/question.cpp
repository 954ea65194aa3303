// `moeline train` and `moeline layer`: read a scenario, evaluate it, show the answer.
#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdlib>
#include <memory>
#include <optional>

#include "cli/asking.hpp"
#include "cli/commands.hpp"
#include "cli/reporting.hpp"
#include "cli/scenario_flags.hpp"
#include "cli/whole_file.hpp"
#include "fit/answer.hpp"
#include "plan/what_fits.hpp"
#include "reports/explanation.hpp"
#include "reports/memory_table.hpp"
#include "reports/page_answer.hpp"
#include "reports/schedule_table.hpp"
#include "reports/trace_json.hpp"
#include "spec/json.hpp"
#include "units_text.hpp"

namespace moeline {

int say_infeasible(const Infeasible& why, Format format, const std::string& origin) {
  if (format == Format::json) fmt::print("{}\n", infeasible_json(why).dump(2));
  fmt::print(stderr, "moeline: {}: infeasible: {}; {}\n", origin, why.reason, why.advice);
  return kInfeasible;
}

std::string kind_asked(const Json& scenario) {
  const Json::json_pointer kind("/workload/kind");
  if (!scenario.is_object() || !scenario.contains(kind)) return "train";
  return scenario[kind] == "layer" ? "layer" : scenario[kind] == "serve" ? "serve" : "train";
}

namespace {

// What is piped is as wide as it is, without colours.
Terminal terminal() {
  winsize size{};
  if (isatty(STDOUT_FILENO) != 1) return {};
  const bool known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col >= 40;
  return {.color = std::getenv("NO_COLOR") == nullptr, .width = known ? size.ws_col : 100};
}

void write_trace(const ScenarioFlags& flags, const Scenario& scenario, const Calibration& calibration, const Evaluation& evaluation) {
  auto traced = trace_of(scenario, calibration);
  if (const Infeasible* why = std::get_if<Infeasible>(&traced)) throw SpecError("--trace", why->reason + "; " + why->advice);
  StepTrace& trace = std::get<StepTrace>(traced);
  trace.title = headline(evaluation, scenario);
  write_whole(flags.trace, trace_json(trace));
}

constexpr std::size_t kFitting = 3;  // changes named

Infeasible with_what_fits(Infeasible why, const Scenario& scenario, const Calibration& calibration) {
  if (!why.need || !std::holds_alternative<TrainWorkload>(scenario.workload)) return why;
  std::string list;
  for (const FittingChange& change : what_fits(scenario, calibration, kFitting)) {
    list += fmt::format("{}{} ({})", list.empty() ? "fits with " : ", or ", change.change, format(change.need));
  }
  why.advice = list.empty() ? why.advice + "; no two changes make it fit: `moeline search` looks further" : list;
  return why;
}

}  // namespace

void print_folded(const std::string& text) {
  const bool folds = isatty(STDOUT_FILENO) == 1;
  fmt::print("{}", folds ? folded(text, static_cast<std::size_t>(terminal().width)) : text);
}

int answer(const ScenarioFlags& flags, const std::string& kind, bool memory) {
  const Json json = flags.scenario(kind);
  const Answer answer = answer_to(json, flags.origin());
  const Scenario& scenario = *answer.scenario;
  const Infeasible* refused = std::get_if<Infeasible>(&answer.outcome);
  std::optional<Infeasible> why;
  if (refused != nullptr) why = with_what_fits(*refused, scenario, answer.calibration);
  write_report(flags.report, [&] {
    Json page = page_answer(answer, json, flags.origin());
    if (why) page["advice"] = why->advice;
    return page;
  });
  if (why) return say_infeasible(*why, flags.output(), flags.origin());
  const Evaluation& evaluation = std::get<Evaluation>(answer.outcome);
  if (!flags.trace.empty()) write_trace(flags, scenario, answer.calibration, evaluation);
  std::vector<std::string> help;
  const TrainEvaluation* train = std::get_if<TrainEvaluation>(&evaluation.answer);
  if (train != nullptr && flags.output() == Format::table) {
    help = best_changes(effects(varied_question(scenario, answer.calibration, evaluation)), {});
  }
  fmt::print("{}", render(evaluation, scenario, flags.output(), terminal(), help));
  if (memory && train != nullptr && flags.output() == Format::table) fmt::print("\n{}", memory_text(*train, scenario));
  if (flags.output() != Format::table && !flags.quiet) {
    for (const Warning& warning : evaluation.warnings) {
      fmt::print(stderr, "moeline: {}: {}\n", warning.message, warning.advice);
    }
  }
  return kAnswered;
}

namespace {

// The scenario under one schedule, with as many chunks a stage as that runs; a given cut stays where it has that many.
Json under(Json scenario, Schedule schedule) {
  Json& parallelism = scenario["parallelism"];
  const auto given = parallelism.is_object() ? parallelism.value("vpp", Json(1)) : Json(1);
  const bool chosen = given.is_number_integer() && given > 1;
  const Json vpp = is_folded(schedule) ? Json(2) : schedule != Schedule::interleaved ? Json(1) : chosen ? given : Json(2);
  if (vpp != given && scenario["workload"].is_object()) scenario["workload"].erase("pipeline_layout");
  parallelism["schedule"] = name(schedule);
  parallelism["vpp"] = vpp;
  return scenario;
}

int compare_schedules(ScenarioFlags flags) {
  if (flags.output() != Format::table && flags.output() != Format::json) {
    throw SpecError("--schedule all", "is written as table or json");
  }
  if (!flags.trace.empty()) throw SpecError("--trace", "draws one schedule, not all");
  flags.schedule.clear();
  const Json scenario = flags.scenario("train");
  const bool cut = scenario["workload"].is_object() && scenario["workload"].contains("pipeline_layout");
  std::vector<ScheduleRow> rows;
  std::string question;
  for (const Schedule schedule : all_schedules()) {
    const Json json = under(scenario, schedule);
    const Answer answer = answer_to(json, flags.origin());
    ScheduleRow& row = rows.emplace_back(ScheduleRow{std::string(name(schedule)), answer.scenario->parallelism.vpp, Infeasible{}});
    if (const Infeasible* why = std::get_if<Infeasible>(&answer.outcome)) {
      row.answer = *why;
      continue;
    }
    const Evaluation& evaluation = std::get<Evaluation>(answer.outcome);
    row.answer = std::get<TrainEvaluation>(evaluation.answer);
    if (question.empty()) question = headline(evaluation, *answer.scenario);
  }
  fmt::print("{}", flags.output() == Format::json ? schedules_json(rows) : schedules_text(rows, question));
  if (cut && !flags.quiet) fmt::print(stderr, "moeline: pipeline_layout holds for schedules with its number of chunks; the others are cut by default\n");
  const bool any = std::any_of(rows.begin(), rows.end(), [](const ScheduleRow& row) { return std::holds_alternative<TrainEvaluation>(row.answer); });
  return any ? kAnswered : kInfeasible;
}

}  // namespace

void add_train(CLI::App& app, Action& action) {
  CLI::App* command = app.add_subcommand("train", "one optimiser step: time, tokens/s, MFU, memory, breakdown");
  command->footer("Example: moeline train examples/deepseek-v3-256-gb200.json --parallel ep=32 -o json");
  auto flags = std::make_shared<ScenarioFlags>();
  flags->add_to(*command);
  flags->add_training_to(*command);
  flags->add_trace_to(*command);
  command->get_option("--schedule")->description("gpipe, 1f1b, interleaved_1f1b, zb_h1, zb_h2, zb_v, dualpipe, dualpipe_v, or all: compares them");
  auto memory = std::make_shared<bool>(false);
  command->add_flag("--memory", *memory, "what every stage holds, and the stage that binds tensor by tensor (with -o json always)");
  command->callback([flags, memory, &action] {
    action = [flags, memory] { return flags->schedule == "all" ? compare_schedules(*flags) : answer(*flags, "train", *memory); };
  });
}

void add_layer(CLI::App& app, Action& action) {
  CLI::App* command = app.add_subcommand("layer", "one MoE layer, forward and backward, op by op");
  command->footer("Example: moeline layer --model deepseek-v3 --hardware h200-sxm --parallel ep=8 --tokens 4096");
  auto flags = std::make_shared<ScenarioFlags>();
  flags->add_to(*command);
  flags->add_layer_to(*command);
  flags->add_trace_to(*command);
  command->callback([flags, &action] { action = [flags] { return answer(*flags, "layer"); }; });
}

}  // namespace moeline
