// `moeline route`: load balance of router scores, a histogram or a distribution, under each balancer.
#include <fmt/format.h>

#include <algorithm>

#include "cli/asking.hpp"
#include "cli/reporting.hpp"
#include "cli/scenario_flags.hpp"
#include "cli/subcommand.hpp"
#include "engine/route_run.hpp"
#include "engine/score_file.hpp"
#include "engine/sweep_run.hpp"
#include "fit/answer.hpp"
#include "plan/elasticity.hpp"
#include "reports/route_table.hpp"

namespace moeline {
namespace {

struct Request {
  ScenarioFlags flags;
  std::string scores;
  std::int64_t experts = 0, top_k = 8, ranks = 1, redundant = 0;
  RouteSettings settings;
};

// With a scenario: its model's experts, its expert-parallel ranks and the tokens of a micro-batch.
struct Asked {
  std::optional<Json> scenario;
  MoeFfn moe;
  std::size_t ranks = 1;
  double tokens = 0;  // that choose at a time, on all ranks; 0: chance is left out
  std::size_t experts() const { return static_cast<std::size_t>(moe.experts); }
  std::size_t top_k() const { return static_cast<std::size_t>(moe.top_k); }
};

Asked asked_about(const Request& r) {
  Asked asked{.scenario = {}, .moe = {.experts = r.experts, .top_k = r.top_k}, .ranks = static_cast<std::size_t>(r.ranks)};
  double of_device = static_cast<double>(r.flags.tokens.value_or(0));
  asked.tokens = of_device * static_cast<double>(asked.ranks);
  if (r.flags.file.empty() && r.flags.model.empty()) return asked;
  asked.scenario = r.flags.scenario(r.flags.kind() == "layer" ? "layer" : "train");
  const Scenario scenario = read_scenario(*asked.scenario, r.flags.origin());
  for (const LayerKind& kind : scenario.model.kinds) {
    if (const MoeFfn* moe = std::get_if<MoeFfn>(&kind.ffn)) asked.moe = *moe;
  }
  if (asked.experts() == 0) throw SpecError(r.flags.origin(), "the model has no experts");
  const Parallelism& p = scenario.parallelism;
  asked.ranks = static_cast<std::size_t>(p.ep);
  const TrainWorkload* train = std::get_if<TrainWorkload>(&scenario.workload);
  if (train != nullptr && of_device == 0)
    of_device = static_cast<double>(train->micro_batch * train->sequence * p.etp) / static_cast<double>(p.cp * p.tp);
  asked.tokens = of_device * static_cast<double>(asked.ranks);
  return asked;
}

// Times of the scenario's step with this routing; nothing where it cannot run.
struct StepTimes {
  std::optional<Seconds> step{}, balancer{};  // the balancer's own part
};
StepTimes times_with(Json scenario, const Json& routing, const std::string& origin) {
  scenario["routing"] = routing;
  const auto [read, calibration, outcome] = answer_to(scenario, origin);
  if (std::holds_alternative<Infeasible>(outcome)) return {};
  const Seconds step = answer_time(std::get<Evaluation>(outcome));
  const Outcome without = evaluate(*read, calibration, {"balancer"});
  return {step, step - answer_time(std::get<Evaluation>(without))};
}

StepTimes times_of(const BalancedLoads& loads, const Json& scenario, const Request& r) {
  Json routing = r.scores.empty() ? scenario.value("routing", Json::object()) : Json{{"popularity", "balanced"}};
  if (loads.balancer != "sinkhorn") routing["balancer"] = loads.balancer;
  routing["capacity_factor"] = r.settings.capacity_factor;
  routing["redundant_experts"] = r.redundant;
  StepTimes times = times_with(scenario, routing, r.flags.origin());
  if (r.scores.empty()) return times;
  // Of scores the overload is known, so that the balancer has only its own work to add.
  const Json known{{"popularity", "overload"}, {"alpha", std::max(1.0, loads.overload)}};
  times.step = times_with(scenario, known, r.flags.origin()).step;
  if (times.step && times.balancer) *times.step += *times.balancer;
  return times;
}

std::vector<BalancedLoads> loads_of(const Request& r, const Asked& asked, const RouteSettings& settings,
                                    std::string& heading) {
  const auto split = [&](std::size_t experts) {
    if (experts % settings.ranks != 0)
      throw SpecError("--ranks", fmt::format("{} experts do not divide over {} ranks", experts, settings.ranks));
  };
  if (!r.scores.empty()) {
    const ScoreFile file = read_scores(r.scores);
    if (asked.scenario && file.experts != asked.experts())
      throw SpecError(r.scores, fmt::format("scores of {} experts, the model has {}", file.experts, asked.experts()));
    if (asked.top_k() >= file.experts)
      throw SpecError("--top-k", fmt::format("{} of {} experts leaves nothing to choose", asked.top_k(), file.experts));
    split(file.experts);
    const RouterScores scores{file.values, file.experts, asked.top_k()};
    heading = fmt::format("{}: {} tokens, top {} of {} experts on {} ranks", r.scores, scores.tokens(), asked.top_k(),
                          file.experts, settings.ranks);
    return balanced(scores, settings);
  }
  const Json given = asked.scenario ? asked.scenario->value("routing", Json::object())
                                    : parse_routing_text(r.flags.routing, "--routing");
  const Routing routing = read_routing(ObjectReader(given, "routing"), asked.moe.experts);
  if (asked.experts() == 0) throw SpecError("--experts", "how many? Give --experts, or a scenario");
  if (!routing.drawn.shares)
    throw SpecError("route", "give --scores FILE, or --routing power-law:1.2, zipf:1.0, dirichlet:0.5 or file:PATH");
  split(asked.experts());
  heading = fmt::format("{}: {} layers of {} experts on {} ranks",
                        r.flags.routing.empty() ? name(routing.popularity) : r.flags.routing,
                        routing.drawn.shares->rows(), asked.experts(), settings.ranks);
  return balanced(*routing.drawn.shares, asked.moe, asked.tokens, settings);
}

int run_route(const Request& r) {
  const Asked asked = asked_about(r);
  RouteSettings settings = r.settings;
  settings.ranks = asked.ranks;
  settings.redundant = static_cast<std::size_t>(r.redundant);
  settings.threads = threads_of_this_machine();
  const auto named = [](std::string_view balancer) {
    return read_routing(ObjectReader(Json{{"balancer", balancer}}, "--balancer"), 0);
  };
  if (!r.flags.balancer.empty()) settings.only = named(r.flags.balancer).balancer;
  settings.aux_loss_violation = named("aux_loss").max_violation;
  settings.loss_free_violation = named("loss_free").max_violation;
  std::string heading;
  std::vector<RouteRow> rows;
  for (const BalancedLoads& loads : loads_of(r, asked, settings, heading)) {
    rows.push_back({loads.balancer,
                    loads.loads,
                    loads.rank_loads,
                    loads.max_violation,
                    loads.overload,
                    loads.overload_p90,
                    loads.drop_rate,
                    loads.iterations,
                    loads.dual_gap,
                    {},
                    {}});
    if (!asked.scenario) continue;
    const StepTimes times = times_of(loads, *asked.scenario, r);
    rows.back().step = times.step;
    rows.back().balancer_time = times.balancer;
  }
  write_report(r.flags.report, [&] { return route_json(rows, heading); });
  if (r.flags.output() == Format::json) {
    fmt::print("{}\n", route_json(rows, heading).dump(2));
  } else {
    print_folded(route_text(rows, heading));
  }
  return kAnswered;
}

}  // namespace

void add_route(CLI::App& app, Action& action) {
  const auto [command, request] =
      subcommand(app, action, run_route, "route",
                 "load balance of router scores, a histogram or a distribution under each balancer",
                 "Example: moeline route --routing power-law:1.2 --experts 256 --ranks 32 --redundant 32\n"
                 "With a scenario also its time under each balancer.");
  request->flags.add_to(*command, {"table", "json"});
  request->flags.add_workload_to(*command);
  command->add_option("--scores", request->scores, "tokens by experts: .npy (float32) or CSV");
  command->add_option("--experts", request->experts, "of a layer, for a distribution")->check(CLI::Range(1, 1 << 16));
  command->add_option("--top-k", request->top_k, "experts a token chooses; 8 if left out")
      ->check(CLI::Range(1, 1 << 16));
  command->add_option("--ranks", request->ranks, "that share the experts; 1 if left out")
      ->check(CLI::Range(1, 1 << 16));
  command->add_option("--iterations", request->settings.iterations, "of quantiles and Sinkhorn; 5 if left out")
      ->check(CLI::Range(0, 1000));
  command
      ->add_option("--capacity-factor", request->settings.capacity_factor,
                   "rows an expert takes over the mean; 1.25 if left out")
      ->check(CLI::Range(0.01, 1000.0));
  command->add_option("--redundant", request->redundant, "expert slots beyond one each, of EPLB")
      ->check(CLI::Range(0, 1 << 16));
}

}  // namespace moeline
