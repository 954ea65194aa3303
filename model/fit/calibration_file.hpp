// A device's calibration as a file: the pages `fit` writes and predictions read back.
//
// Which page prices what: products by format, from the library whose rows have random operands and quantise outside the
// product where possible. A device without pages borrows those of its nearest relative of the same generation, marked
// extrapolated with a wider spread; across generations nothing is borrowed.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cost/calibration.hpp"
#include "fit/family.hpp"
#include "spec/cluster.hpp"
#include "spec/reader.hpp"

namespace moeline {

Json to_json(const FamilyFit& page);
// `{"device": ..., "source": ..., "families": [pages]}`
std::vector<FamilyFit> read_pages(const Json& json, const std::string& origin);

// The calibration carried in the library that fits the cluster's GPU best; neutral (bounds) if it has no relative.
// `note` says what was taken, for the assumptions of an answer.
Calibration calibration_for(const Cluster& cluster, std::string& note);
// From a file of one's own. Pages measured on another device than the cluster's are extrapolated, at three times their
// spread; a page whose parameters are not those of its equations is a SpecError.
Calibration calibration_from(const Json& json, const std::string& origin, const Cluster& cluster, std::string& note);

}  // namespace moeline
