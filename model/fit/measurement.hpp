// A file of measurements -> the families it holds, whichever of the known schemas it follows.
//
// CSV schemas are recognised by their header, our own records by the ending .jsonl (docs/guide/measurements.md). Rows
// that cannot be used are counted by reason.
#pragma once

#include <string>
#include <vector>

#include "fit/family.hpp"

namespace moeline {

// SpecError if the file cannot be read or its header matches no schema.
std::vector<FamilyData> read_families(const std::string& path);

}  // namespace moeline
