#include "engine/search_run.hpp"

#include <tbb/enumerable_thread_specific.h>

#include <algorithm>
#include <atomic>
#include <limits>

#include "engine/in_order.hpp"
#include "engine/progress.hpp"

namespace moeline {
namespace {

// What one family of layouts adds to the search.
struct FamilyResult {
  std::vector<FoundLayout> best;
  ReasonCounts lost;
  std::uint64_t legal = 0, feasible = 0;
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
    case Objective::devices:
      return static_cast<double>(found.devices);
  }
  return 0;
}

constexpr const char* kBeaten[]{"feasible, but slower", "feasible, but larger", "feasible, but dearer",
                                "feasible, but takes more energy", "feasible, but on more devices"};

// Keeps what no other beats, by its first figure; of equals the first to come.
void keep_on_front(std::vector<FoundLayout>& front, FoundLayout found, const std::pair<Objective, Objective>& axes) {
  const auto no_worse = [&](const FoundLayout& a, const FoundLayout& b) {
    return figure_of(a, axes.first) <= figure_of(b, axes.first) && figure_of(a, axes.second) <= figure_of(b, axes.second);
  };
  if (std::any_of(front.begin(), front.end(), [&](const FoundLayout& other) { return no_worse(other, found); })) return;
  std::erase_if(front, [&](const FoundLayout& other) { return no_worse(found, other); });
  const auto left_of = [&](const FoundLayout& a, const FoundLayout& b) { return figure_of(a, axes.first) < figure_of(b, axes.first); };
  front.insert(std::upper_bound(front.begin(), front.end(), found, left_of), std::move(found));
}

// Keeps the best, of equals the first to come.
void keep(std::vector<FoundLayout>& best, FoundLayout found, const SearchSettings& settings) {
  if (settings.front) return keep_on_front(best, std::move(found), *settings.front);
  const auto better = [&](const FoundLayout& a, const FoundLayout& b) {
    return figure_of(a, settings.objective) < figure_of(b, settings.objective);
  };
  if (best.size() == settings.top && !better(found, best.back())) return;
  best.insert(std::upper_bound(best.begin(), best.end(), found, better), std::move(found));
  if (best.size() > settings.top) best.pop_back();
}

void count_beaten(SearchResult& result, const SearchSettings& settings) {
  const std::uint64_t beaten = result.feasible - result.best.size();
  const char* why = settings.front ? "feasible, but beaten in both" : kBeaten[static_cast<std::size_t>(settings.objective)];
  if (beaten > 0) result.lost[why] = beaten;
}

class Search {
 public:
  // `scenario`'s devices hold what the settings allow, `device` what they really do.
  Search(const Scenario& scenario, Bytes device, const Recipe& recipe, const Calibration& calibration,
         const SearchSettings& settings)
      : scenario_(scenario), device_(device), recipe_(recipe), settings_(settings), space_(scenario, settings.fixed, settings.schedules),
        steps_([&] { return std::make_unique<TrainingSteps>(scenario.cluster, scenario.model, calibration); }) {}

  SearchResult run() {
    const std::vector<LayoutFamily> families = space_.families();
    SearchResult result;
    Progress shown(0, families.size(), settings_.progress);
    in_order(
        0, families.size(), settings_.threads, [&](std::uint64_t i) { return of_family(families[i]); },
        [&](std::uint64_t i, FamilyResult family) {
          for (FoundLayout& found : family.best) keep(result.best, std::move(found), settings_);
          for (const auto& [reason, count] : family.lost) result.lost[reason] += count;
          result.legal += family.legal;
          result.feasible += family.feasible;
          // Cost and energy grow with the time alone, where the devices are given.
          const bool by_time = settings_.objective != Objective::memory && !settings_.front;
          if (by_time && result.best.size() == settings_.top) longest_ = result.best.back().step.value.in(second);
          shown.at(i + 1);
          return true;
        });
    count_beaten(result, settings_);
    return result;
  }

 private:
  FamilyResult of_family(const LayoutFamily& family) {
    FamilyResult result;
    const std::vector<Layout> members = space_.members(family, result.lost);
    result.legal = members.size();
    if (members.empty()) return result;
    TrainingSteps& steps = *steps_.local();
    for (const Layout& layout : members) {
      const TrainWorkload train = workload_of(scenario_, layout);
      const StepQuestion question{recipe_, scenario_.routing, layout.parallelism, train};
      // A layout whose busiest stage alone takes longer than the last of the best is none of them, on any thread.
      const std::optional<StepAnswer> answer = steps.evaluate(question, longest_.load() * second);
      if (!answer) {
        ++result.feasible;
      } else if (const Infeasible* why = std::get_if<Infeasible>(&*answer)) {
        ++result.lost[why->need && *why->need <= device_ ? kOverLimit : kind_of_reason(*why)];
      } else {
        ++result.feasible;
        const TrainEvaluation& step = std::get<TrainEvaluation>(*answer);
        keep(result.best,
             {scenario_.cluster.devices, scenario_.recipe.name, layout, step.step, step.tokens_per_second_per_device, step.mfu,
              step.memory.total(), step.memory_available, bill(scenario_, step)},
             settings_);
      }
    }
    return result;
  }

  static constexpr const char* kOverLimit = "over --max-memory";

  const Scenario& scenario_;
  const Bytes device_;
  const Recipe& recipe_;
  const SearchSettings& settings_;
  LayoutSpace space_;
  tbb::enumerable_thread_specific<std::unique_ptr<TrainingSteps>> steps_;
  std::atomic<double> longest_ = std::numeric_limits<double>::infinity();  // seconds
};

}  // namespace

bool asks_for(const SearchSettings& settings, Objective objective) {
  if (settings.front) return settings.front->first == objective || settings.front->second == objective;
  return settings.objective == objective;
}

std::variant<SearchResult, Infeasible> search(const Scenario& given, const Calibration& calibration,
                                              const SearchSettings& settings, const std::string& origin) {
  if (const std::string why = missing_price(given.cluster); asks_for(settings, Objective::cost) && !why.empty())
    throw SpecError(origin, "cost is not known: " + why);
  if (const std::string why = missing_power(given.cluster); asks_for(settings, Objective::energy) && !why.empty())
    throw SpecError(origin, "energy is not known: " + why);
  Scenario scenario = given;
  Gpu* gpu = std::get_if<Gpu>(&scenario.cluster.device);
  if (gpu == nullptr) {
    return Infeasible{"layouts are cuts over GPUs; wafers share nothing but the batch",
                      "ask `moeline train`, or sweep /workload/wafer"};
  }
  if (settings.max_memory) gpu->hbm_capacity.value = min(gpu->hbm_capacity.value, *settings.max_memory);
  std::vector<std::string> notes;
  Recipe recipe = scenario.recipe;
  if (auto why = legalise(recipe, scenario.cluster.device, notes)) return *why;
  return Search(scenario, memory_capacity(given.cluster.device), recipe, calibration, settings).run();
}

SearchResult merged(SearchResult all, SearchResult more, const SearchSettings& settings) {
  for (FoundLayout& found : more.best) keep(all.best, std::move(found), settings);
  for (const auto& [reason, count] : more.lost) all.lost[reason] += count;
  all.legal += more.legal;
  all.feasible += more.feasible;
  count_beaten(all, settings);
  return all;
}

}  // namespace moeline
