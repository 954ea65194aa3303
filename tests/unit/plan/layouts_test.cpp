#include "plan/layouts.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <set>

#include "engine/search_run.hpp"
#include "error_of.hpp"
#include "plan/evaluate.hpp"

namespace moeline {
namespace {

const Json& question() {
  static const Json json =
      parse_json(R"({"model": {"base": "mixtral-8x7b", "num_hidden_layers": 4}, "hardware": "h100-sxm",
      "devices": 8, "calibration": "none", "workload": {"kind": "train", "sequence": 1024, "global_batch": 16}})",
                 "s.json");
  return json;
}

std::vector<Layout> layouts(const FixedFields& fixed, ReasonCounts& refused) {
  return legal_layouts(read_scenario(question(), "s.json"), fixed, refused);
}

}  // namespace

TEST_CASE("every layout of a search is legal, listed once, and holds at least what the quick bound says") {
  ReasonCounts refused;
  const std::vector<Layout> list = layouts({{"zero", "1"}}, refused);
  std::set<std::string> seen;
  int feasible = 0;
  for (const Layout& layout : list) {
    const Json json = with_layout(question(), layout);
    CHECK(seen.insert(json.dump()).second);
    const Scenario scenario = read_scenario(json, "s.json");
    const Outcome outcome = evaluate(scenario, Calibration{});
    if (const Infeasible* why = std::get_if<Infeasible>(&outcome)) {
      CHECK(kind_of_reason(*why) == "out of memory");
      continue;
    }
    ++feasible;
    const auto& train = std::get<TrainEvaluation>(std::get<Evaluation>(outcome).answer);
    CHECK(least_memory(scenario, layout) <= train.memory.total());
  }
  CHECK(feasible > 100);
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
  const Scenario scenario = read_scenario(question(), "s.json");
  ReasonCounts refused;
  Seconds least = 1e9 * second;
  std::uint64_t feasible = 0;
  const FixedFields fixed{{"zero", "1"}, {"recompute", "none"}};
  for (const Layout& layout : layouts(fixed, refused)) {
    const Outcome outcome = evaluate(read_scenario(with_layout(question(), layout), "s.json"), Calibration{});
    if (!std::holds_alternative<Evaluation>(outcome)) continue;
    ++feasible;
    least = min(least, std::get<TrainEvaluation>(std::get<Evaluation>(outcome).answer).step.value);
  }
  for (const int threads : {1, 3}) {
    SearchSettings settings;
    settings.fixed = fixed;
    settings.top = 3;
    settings.threads = threads;
    const SearchResult result = search(question(), "s.json", scenario, Calibration{}, settings);
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
  CHECK(wrong("zero=0") == "no error");
}

}  // namespace moeline
