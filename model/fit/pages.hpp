// The pages of a device as a file: what `fit` writes, `list calibrations` shows and predictions read.
//
// {"device": ..., "families": [{operation, library, dtype, source, domain, parameters with units, correction surface,
// errors fitted, held out and in the next decade, spread by size class, rows left out by reason}]}
#pragma once

#include <string>
#include <vector>

#include "fit/family.hpp"
#include "spec/reader.hpp"

namespace moeline {

Json to_json(const FamilyFit& page);
// A device's file, one line a parameter, size class or figure.
std::string page_file_text(const std::string& device, const std::vector<Json>& pages);
// SpecError naming the place if a page is not one.
std::vector<FamilyFit> read_pages(const Json& json, const std::string& origin);
// The pages of a carried file; those of operations that no training step prices are left out unless `all`.
std::vector<FamilyFit> carried_file(std::string_view text, const std::string& origin, bool all = true);

}  // namespace moeline
