// Which page do the rows of one family make?
//
// Rows enough are fitted and held out in turn. Fewer move the scale factors of a relative's page: launch, tensor, memory,
// load. Fewer still can end up worse than the relative's page as it is.
#pragma once

#include <optional>
#include <string>

#include "fit/family.hpp"

namespace moeline {

// Whether a page of its own is fitted; rows too few, or of no product that is priced, can still be checked.
bool fits_alone(const FamilyData& family);

// `source` says whose measurements these are.
std::optional<FamilyFit> fitted_page(const FamilyData& family, const std::string& source);

}  // namespace moeline
