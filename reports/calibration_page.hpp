// A calibration as a page a person can read: parameters with units, what identified them, and how wrong they are.
#pragma once

#include <string>
#include <vector>

#include "fit/family.hpp"

namespace moeline {

std::string page_text(const FamilyFit& page);
// One line a family, held-out errors: for the terminal, or as a Markdown table.
std::string accuracy_table(const std::vector<FamilyFit>& pages);
std::string accuracy_markdown(const std::vector<FamilyFit>& pages);

}  // namespace moeline
