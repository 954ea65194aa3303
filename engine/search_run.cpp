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
    return FoundLayout{layout,    train.step,           train.tokens_per_second_per_device,
                       train.mfu, train.memory.total(), train.memory_available};
  }

  bool better(const FoundLayout& a, const FoundLayout& b) const {
    return settings.by_memory ? a.required < b.required : a.step.value < b.step.value;
  }
};

}  // namespace

SearchResult search(const Json& json, const std::string& origin, const Scenario& scenario,
                    const Calibration& calibration, const SearchSettings& settings) {
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
        FoundLayout& found = std::get<FoundLayout>(tried);
        const auto place =
            std::upper_bound(result.best.begin(), result.best.end(), found,
                             [&](const FoundLayout& a, const FoundLayout& b) { return one.better(a, b); });
        result.best.insert(place, std::move(found));
        if (result.best.size() > settings.top) result.best.pop_back();
        return true;
      });
  const std::uint64_t beaten = result.feasible - result.best.size();
  if (beaten > 0) result.lost[settings.by_memory ? "feasible, but larger" : "feasible, but slower"] = beaten;
  return result;
}

}  // namespace moeline
