// `moeline compare`: two answers side by side, the difference explained part by part.
#include <fmt/format.h>

#include "cli/asking.hpp"
#include "cli/reporting.hpp"
#include "cli/scenario_flags.hpp"
#include "cli/subcommand.hpp"
#include "fit/answer.hpp"
#include "reports/comparison.hpp"

namespace moeline {
namespace {

// A result as it was written, or the answer to a scenario, as -o json would write it; nullopt: said why it cannot run.
std::optional<Json> result_of(const ScenarioFlags& flags) {
  if (!flags.file.empty()) {
    Json json = parse_json(read_file(flags.file), flags.file);
    if (is_result(json)) return json;
    if (json.is_object() && json.value("feasible", Json(true)) == false)
      throw SpecError(flags.file, "holds no answer: it was infeasible");
  }
  const auto [scenario, calibration, outcome] = answer_to(flags.scenario(flags.kind()), flags.origin());
  if (const Infeasible* why = std::get_if<Infeasible>(&outcome)) {
    say_infeasible(*why, flags.output(), flags.origin());
    return std::nullopt;
  }
  const std::string text = render(std::get<Evaluation>(outcome), *scenario, Format::json, {});
  return parse_json(text, flags.origin());
}

struct Request {
  ScenarioFlags flags;
  std::string other;
};

int compare(const Request& request) {
  const auto& [flags, other] = request;
  ScenarioFlags first = flags, second = flags;
  std::string a = flags.origin(), b = other;
  if (other.empty()) {
    if (flags.set.empty())
      throw SpecError("compare", "expected two scenarios or results, or one and --set for what the second changes");
    first.set.clear();
    b = fmt::format("{} with {}", a, fmt::join(flags.set, ", "));
  } else {
    second.file = other;
  }
  const std::optional<Json> before = result_of(first);
  const std::optional<Json> after = before ? result_of(second) : std::nullopt;
  if (!after) return kInfeasible;
  const Comparison comparison = compared(*before, *after, a, b);
  write_report(flags.report, [&] {
    Json json = comparison_json(comparison);
    json["names"] = Json::array({a, b});
    return json;
  });
  if (flags.output() == Format::json) {
    fmt::print("{}\n", comparison_json(comparison).dump(2));
  } else {
    print_folded(comparison_text(comparison, a, b));
  }
  return kAnswered;
}

}  // namespace

void add_compare(CLI::App& app, Action& action) {
  const auto [command, request] = subcommand(
      app, action, compare, "compare", "two answers side by side, the difference explained part by part",
      "Example: moeline compare examples/deepseek-v3-256-gb200.json --set /parallelism/ep=32\n"
      "With two scenarios, or results of -o json, --set and the other flags apply to both; with one, --set to the "
      "second.");
  request->flags.add_to(*command, {"table", "json"});
  request->flags.add_workload_to(*command);
  request->flags.add_serving_to(*command);
  command->add_option("other", request->other, "the second scenario, or a result of -o json");
}

}  // namespace moeline
