// Published times of whole training steps: recognised, so that a folder of measurements can be read as it is.
//
// A step has no equation of its own to fit: it is the sum of what every other family prices. Its rows belong to
// scenarios and are compared by the published-step anchors; here each device gets a family without observations, of
// operation "training_step", that counts them. Files: vTrain, Korthikanti et al. (configurations of calculon),
// Megatron-Bridge, torchtitan, SimuMax.
#pragma once

#include "fit/csv.hpp"
#include "fit/family.hpp"

namespace moeline {

bool is_step_csv(const Csv& csv);
std::vector<FamilyData> step_families(const Csv& csv);

}  // namespace moeline
