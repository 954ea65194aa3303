// The best layouts: legal ones, less what cannot fit, each evaluated; the same answer for any number of threads.
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "cost/calibration.hpp"
#include "plan/bill.hpp"
#include "plan/evaluate.hpp"
#include "plan/layouts.hpp"
#include "plan/training/train.hpp"

namespace moeline {

enum class Objective { time, memory, cost, energy, devices };  // what is to be small; cost and energy per token

struct SearchSettings {
  std::size_t top = 10;
  Objective objective = Objective::time;
  std::optional<std::pair<Objective, Objective>> front{};  // instead: all that no other beats in both
  std::optional<Bytes> max_memory{};  // per device; the device's own otherwise
  FixedFields fixed;
  std::vector<Schedule> schedules = kUsualSchedules;
  int threads = 1;
  bool progress = true;
};

bool asks_for(const SearchSettings& settings, Objective objective);

struct FoundLayout {
  std::int64_t devices = 1;
  std::string recipe;
  Layout layout;
  Range step;
  double tokens_per_second_per_device = 0, mfu = 0;
  Bytes required, available;
  Bill bill;
};

struct SearchResult {
  std::vector<FoundLayout> best;  // the best first, a front by its first objective; of equals the one enumerated first
  ReasonCounts lost;              // why the others are not among them
  std::uint64_t legal = 0, feasible = 0;
};

// `scenario` asks about training; its own layout is replaced. Infeasible: layouts are cuts over GPUs.
// By cost or energy, the machine must state its price or power: SpecError.
std::variant<SearchResult, Infeasible> search(const Scenario& scenario, const Calibration& calibration,
                                              const SearchSettings& settings, const std::string& origin);
// Two searches, such as on two numbers of devices or in two recipes, as one.
SearchResult merged(SearchResult all, SearchResult more, const SearchSettings& settings);

}  // namespace moeline
