// What the pages of a device make of the cost equations.
//
// Which page prices what: products by format, from the library whose rows have random operands and quantise outside the
// product where possible. Whose pages they are is fit/lending's to say.
#pragma once

#include <string>

#include "cost/calibration.hpp"
#include "spec/cluster.hpp"
#include "spec/reader.hpp"

namespace moeline {

// The calibration carried in the library that fits the cluster's GPU best; neutral (bounds) if it has no relative.
// `note` says what was taken, for the assumptions of an answer.
// `serving`: with the kernels of serving stacks, which take longer to read.
Calibration calibration_for(const Cluster& cluster, std::string& note, bool serving = false);
// From a file of one's own. Pages measured on another device than the cluster's are extrapolated, at three times their
// spread; a page whose parameters are not those of its equations is a SpecError.
Calibration calibration_from(const Json& json, const std::string& origin, const Cluster& cluster, std::string& note);
// The one that a scenario names: "auto" the carried one, "none" the bounds, else the path of a file.
Calibration calibration_named(const std::string& name, const Cluster& cluster, std::string& note, bool serving = false);
inline Calibration calibration_named(const std::string& name, const Cluster& cluster, bool serving = false) {
  std::string note;
  return calibration_named(name, cluster, note, serving);
}

}  // namespace moeline
