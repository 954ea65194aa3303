// Rounds of speculation side by side, shown. Rendering computes nothing.
#pragma once

#include <string>

#include "plan/serving/speculation_search.hpp"
#include "spec/reader.hpp"

namespace moeline {

// The `top` quickest: as flat records, with what was found around them, and as text.
Json rounds_json(const SpeculationSearch& found, std::size_t top);
Json speculation_json(const SpeculationSearch& found, std::size_t top);
std::string rounds_text(const SpeculationSearch& found, const Scenario& scenario, std::size_t top);

}  // namespace moeline
