// Published times, and peak memory, of whole training steps: which scenario does each row describe?
//
// A step has no equation of its own to fit: it is the sum of what every other family prices, so rows are compared
// (fit/step_check) and never fitted. What a source leaves out (recomputation, sharding, overlap) is what its software
// does by default at that release; each such reading stands beside its schema. Files: vTrain, Korthikanti et al.
// (configurations of calculon), Megatron-Bridge, torchtitan, SimuMax.
#pragma once

#include <optional>
#include <string>
#include <variant>

#include "fit/csv.hpp"
#include "fit/family.hpp"
#include "spec/json.hpp"
#include "spec/reader.hpp"

namespace moeline {

struct MeasuredStep {
  FamilyKey key;       // operation "training_step", library the framework
  std::string label;   // names the row: "line 7: llama3-70b, tp 2"
  Json scenario;
  Seconds time;
  std::optional<Bytes> memory;  // peak that the allocator handed out
};

bool is_step_csv(const Csv& csv);
// A row as a scenario, or why it is none.
std::variant<MeasuredStep, std::string> measured_step(const Csv& csv, std::size_t row);
// For a fit: families without rows, which count what is compared elsewhere.
std::vector<FamilyData> step_families(const Csv& csv);

}  // namespace moeline
