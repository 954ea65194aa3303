// Ways to load a checkpoint, side by side.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "plan/serving/load.hpp"

namespace moeline {

struct LoadRow {
  LoadPlan plan;
  std::variant<LoadAnswer, Infeasible> outcome;
};

std::string load_text(const std::vector<LoadRow>& rows, const ModelSpec& model, const Cluster& cluster);
Json load_json(const std::vector<LoadRow>& rows, const ModelSpec& model, const Cluster& cluster);

}  // namespace moeline
