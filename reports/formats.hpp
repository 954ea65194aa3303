// One renderer per format; report.cpp picks.
#pragma once

#include <string>
#include <vector>

#include "reports/report.hpp"

namespace moeline {

std::string to_screen(const Evaluation& evaluation, const Scenario& scenario, const Terminal& terminal,
                      const std::vector<std::string>& help);
Json to_json(const Evaluation& evaluation, const Scenario& scenario);
std::string to_csv(const Evaluation& evaluation);
std::string to_markdown(const Evaluation& evaluation, const Scenario& scenario);

}  // namespace moeline
