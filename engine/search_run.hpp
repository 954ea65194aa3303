// The best layouts: legal ones, less what cannot fit, each evaluated; the same answer for any number of threads.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cost/calibration.hpp"
#include "plan/evaluate.hpp"
#include "plan/layouts.hpp"
#include "plan/train.hpp"

namespace moeline {

struct SearchSettings {
  std::size_t top = 10;
  bool by_memory = false;             // else by step time
  std::optional<Bytes> max_memory{};  // per device; the device's own otherwise
  FixedFields fixed;
  int threads = 1;
  bool progress = true;
};

struct FoundLayout {
  Layout layout;
  Range step;
  double tokens_per_second_per_device = 0, mfu = 0;
  Bytes required, available;
};

struct SearchResult {
  std::vector<FoundLayout> best;  // the best first; of equals the one enumerated first
  ReasonCounts lost;              // why the others are not among them
  std::uint64_t legal = 0, feasible = 0;
};

// `scenario` asks about training on GPUs; its own layout is replaced.
std::variant<SearchResult, Infeasible> search(const Scenario& scenario, const Calibration& calibration, const SearchSettings& settings);

}  // namespace moeline
