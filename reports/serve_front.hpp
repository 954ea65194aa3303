// A front of deployments, shown: as a table with a picture, JSON, CSV or Markdown.
#pragma once

#include <string>

#include "plan/serving/front.hpp"
#include "reports/report.hpp"

namespace moeline {

std::string render(const ServeFront& front, const Scenario& scenario, Format format);

}  // namespace moeline
