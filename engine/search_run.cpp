#include "engine/search_run.hpp"

#include <algorithm>
#include <variant>

#include "engine/in_order.hpp"
#include "engine/progress.hpp"

namespace moeline {
namespace {

using Tried = std::variant<FoundLayout, std::string>;  // or the reason

struct Search {
  const Json& json;
  const std::string& origin;
  const Scenario& scenario;
  const Calibration& calibration;
  const SearchSettings& settings;

  Tried tried(const Layout& layout) const {
    const Scenario s = read_scenario(with_layout(json, layout), origin, {&scenario.cluster, &scenario.model});
    const Bytes have = memory_capacity(s.cluster.device), limit = settings.max_memory.value_or(have);
    if (least_memory(s, layout) > min(limit, have)) return "out of memory by weights, gradients and optimiser alone";
    const Outcome outcome = evaluate(s, calibration);
    if (const Infeasible* why = std::get_if<Infeasible>(&outcome)) return kind_of_reason(*why);
    const TrainEvaluation& train = std::get<TrainEvaluation>(std::get<Evaluation>(outcome).answer);
    if (train.memory.total() > limit) return "over --max-memory";
    return FoundLayout{s.cluster.devices, layout,
                       train.step,        train.tokens_per_second_per_device,
                       train.mfu,         train.memory.total(),
                       train.memory_available, bill(s, train)};
  }
};

// What is to be small, in any unit: all layouts share the tokens of a step.
double figure_of(const FoundLayout& found, Objective objective) {
  switch (objective) {
    case Objective::time:
      return found.step.value.in(second);
    case Objective::memory:
      return found.required.in(byte);
    case Objective::cost:
      return *found.bill.money;
    case Objective::energy:
      return found.bill.energy->in(joule);
  }
  return 0;
}

constexpr const char* kBeaten[]{"feasible, but slower", "feasible, but larger", "feasible, but dearer",
                                "feasible, but takes more energy"};

void add(std::vector<FoundLayout>& best, FoundLayout found, const SearchSettings& settings) {
  const auto better = [&](const FoundLayout& a, const FoundLayout& b) {
    return figure_of(a, settings.objective) < figure_of(b, settings.objective);
  };
  best.insert(std::upper_bound(best.begin(), best.end(), found, better), std::move(found));
  if (best.size() > settings.top) best.pop_back();
}

void count_beaten(SearchResult& result, Objective objective) {
  const std::uint64_t beaten = result.feasible - result.best.size();
  if (beaten > 0) result.lost[kBeaten[static_cast<std::size_t>(objective)]] = beaten;
}

}  // namespace

SearchResult search(const Json& json, const std::string& origin, const Scenario& scenario,
                    const Calibration& calibration, const SearchSettings& settings) {
  const Objective objective = settings.objective;
  if (const std::string why = missing_price(scenario.cluster); objective == Objective::cost && !why.empty())
    throw SpecError(origin, "cost is not known: " + why);
  if (const std::string why = missing_power(scenario.cluster); objective == Objective::energy && !why.empty())
    throw SpecError(origin, "energy is not known: " + why);
  SearchResult result;
  const std::vector<Layout> layouts = legal_layouts(scenario, settings.fixed, result.lost);
  result.legal = layouts.size();
  const Search one{json, origin, scenario, calibration, settings};
  Progress shown(0, layouts.size(), settings.progress);
  in_order(
      0, layouts.size(), settings.threads, [&](std::uint64_t i) { return one.tried(layouts[i]); },
      [&](std::uint64_t i, Tried tried) {
        shown.at(i + 1);
        if (const std::string* why = std::get_if<std::string>(&tried)) {
          ++result.lost[*why];
          return true;
        }
        ++result.feasible;
        add(result.best, std::get<FoundLayout>(std::move(tried)), settings);
        return true;
      });
  count_beaten(result, settings.objective);
  return result;
}

SearchResult merged(SearchResult all, SearchResult more, const SearchSettings& settings) {
  for (FoundLayout& found : more.best) add(all.best, std::move(found), settings);
  for (const auto& [reason, count] : more.lost) all.lost[reason] += count;
  all.legal += more.legal;
  all.feasible += more.feasible;
  count_beaten(all, settings.objective);
  return all;
}

}  // namespace moeline
