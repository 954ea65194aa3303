// Which published files are known but hold no times of a stated problem, and why?
//
// Their rows are counted with the reason, as families without observations, so that a folder of files can be read
// whole.
#pragma once

#include "fit/csv.hpp"
#include "fit/family.hpp"

namespace moeline {

bool is_unfitted_csv(const Csv& csv);
// SpecError for a file that holds no measurements at all.
std::vector<FamilyData> unfitted_families(const Csv& csv);

}  // namespace moeline
