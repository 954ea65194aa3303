// The rows of a sweep as text: a header and lines of CSV, or one JSON object a line. Absent figures are empty, or null.
#pragma once

#include <string>

#include "plan/point.hpp"

namespace moeline {

std::string sweep_csv_header(const Columns& columns);
std::string sweep_csv_row(const Point& point);
std::string sweep_json_row(const Point& point, const Columns& columns);

}  // namespace moeline
