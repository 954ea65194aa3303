#include "plan/layouts.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <set>

#include "engine/search_run.hpp"
#include "error_of.hpp"
#include "plan/training/train.hpp"

namespace moeline {
namespace {

const Json& question() {
  static const Json json =
      parse_json(R"({"model": {"base": "mixtral-8x7b", "num_hidden_layers": 4}, "hardware": "h100-sxm",
      "devices": 8, "calibration": "none", "workload": {"kind": "train", "sequence": 1024, "global_batch": 16}})",
                 "s.json");
  return json;
}

const Scenario& scenario() {
  static const Scenario read = read_scenario(question(), "s.json");
  return read;
}

std::vector<Layout> layouts(const FixedFields& fixed, ReasonCounts& refused) {
  const LayoutSpace space(scenario(), fixed, all_schedules());
  std::vector<Layout> list;
  for (const LayoutFamily& family : space.families()) {
    for (const Layout& layout : space.members(family, refused)) list.push_back(layout);
  }
  return list;
}

// The scenario file with this layout in it.
Json written(const Layout& layout) {
  const Parallelism& p = layout.parallelism;
  Json json = question();
  json["parallelism"] =
      Json{{"tp", p.tp}, {"pp", p.pp}, {"vpp", p.vpp}, {"ep", p.ep}, {"etp", p.etp}, {"cp", p.cp}, {"zero", p.zero},
           {"schedule", name(p.schedule)}};
  json["workload"]["micro_batch"] = layout.micro_batch;
  json["workload"]["recompute"] = std::string(layout.recompute->name);
  if (layout.recompute->name == "light") json["workload"]["recompute"] = Json{"layernorm", "moe_act", "mla_up_proj"};
  return json;
}

// As `moeline train` answers.
StepAnswer fresh(const Layout& layout) {
  const Outcome outcome = evaluate(read_scenario(written(layout), "s.json"), Calibration{});
  if (const Infeasible* why = std::get_if<Infeasible>(&outcome)) return *why;
  return std::get<TrainEvaluation>(std::get<Evaluation>(outcome).answer);
}

}  // namespace

TEST_CASE("every layout of a search is legal, listed once, and its answer is the one it gets alone") {
  ReasonCounts refused;
  const std::vector<Layout> list = layouts({{"zero", "1"}}, refused);
  std::set<std::string> seen;
  int feasible = 0;
  const Calibration bounds;
  TrainingSteps steps(scenario().cluster, scenario().model, bounds);
  for (const Layout& layout : list) {
    CHECK(seen.insert(written(layout).dump()).second);
    const TrainWorkload train = workload_of(scenario(), layout);
    const StepQuestion asked{scenario().recipe, scenario().routing, layout.parallelism, train};
    const StepAnswer among = steps.evaluate(asked), alone = fresh(layout);
    REQUIRE(among.index() == alone.index());
    if (const Infeasible* why = std::get_if<Infeasible>(&among)) {
      CHECK(kind_of_reason(*why) == "out of memory");
      continue;
    }
    ++feasible;
    const TrainEvaluation &one = std::get<TrainEvaluation>(among), &other = std::get<TrainEvaluation>(alone);
    CHECK(one.step.value == other.step.value);
    CHECK(one.memory.total() == other.memory.total());
    CHECK(one.breakdown.rows().size() == other.breakdown.rows().size());
    CHECK(steps.least_memory(asked) <= one.memory.total());
    CHECK_FALSE(steps.evaluate(asked, Seconds{}).has_value());  // runs, and takes longer than nothing
  }
  CHECK(feasible > 100);
  for (const Schedule schedule : all_schedules()) {
    INFO(name(schedule));
    CHECK(std::any_of(list.begin(), list.end(), [&](const Layout& l) { return l.parallelism.schedule == schedule; }));
  }
  CHECK(refused.contains("etp x ep = N does not divide the N ranks of a pipeline stage (tp x cp x dp)"));
}

TEST_CASE("a fixed field leaves the layouts that have it") {
  ReasonCounts refused;
  const std::vector<Layout> all = layouts({}, refused);
  const auto with = std::count_if(all.begin(), all.end(),
                                  [](const Layout& l) { return l.parallelism.pp == 2 && l.parallelism.ep == 4; });
  CHECK(layouts({{"pp", "2"}, {"ep", "4"}}, refused).size() == static_cast<std::size_t>(with));
  CHECK(with > 0);
  CHECK(layouts({{"pp", "3"}}, refused).empty());
}

TEST_CASE("the search finds the least of all layouts, on any number of threads") {
  ReasonCounts refused;
  Seconds least = 1e9 * second;
  std::uint64_t feasible = 0;
  const FixedFields fixed{{"zero", "1"}, {"recompute", "none"}};
  for (const Layout& layout : layouts(fixed, refused)) {
    const StepAnswer answer = fresh(layout);
    if (!std::holds_alternative<TrainEvaluation>(answer)) continue;
    ++feasible;
    least = min(least, std::get<TrainEvaluation>(answer).step.value);
  }
  for (const int threads : {1, 3}) {
    SearchSettings settings;
    settings.fixed = fixed;
    settings.schedules = all_schedules();
    settings.top = 3;
    settings.threads = threads;
    const auto searched = search(scenario(), Calibration{}, settings, "s.json");
    REQUIRE(std::holds_alternative<SearchResult>(searched));
    const SearchResult& result = std::get<SearchResult>(searched);
    REQUIRE(result.best.size() == 3);
    CHECK(result.best[0].step.value == least);
    CHECK(result.best[0].step.value <= result.best[1].step.value);
    CHECK(result.feasible == feasible);
    std::uint64_t lost = 0;  // nothing disappears: legal = shown + lost after legality
    for (const auto& [reason, count] : result.lost) lost += refused.contains(reason) ? 0 : count;
    CHECK(result.legal == result.best.size() + lost);
  }
}

TEST_CASE("a fixed field that means nothing is refused in one line") {
  const auto wrong = [](const char* text) { return error_of([&] { read_fixed({text}, "--fix"); }); };
  CHECK_THAT(wrong("pp"), Catch::Contains("expected name=value"));
  CHECK_THAT(wrong("pq=4"), Catch::Contains("unknown name \"pq\""));
  CHECK_THAT(wrong("pp=0"), Catch::Contains("not a whole number above 0"));
  CHECK_THAT(wrong("pp=four"), Catch::Contains("not a whole number above 0"));
  CHECK_THAT(wrong("recompute=ful"), Catch::Contains("did you mean \"full\"?"));
  CHECK_THAT(wrong("schedule=1f1f"), Catch::Contains("did you mean \"1f1b\"?"));
  CHECK(wrong("zero=0") == "no error");
}

}  // namespace moeline
