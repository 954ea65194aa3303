// The rows of a sweep, CSV or JSON lines, by columns for their page: values that recur are written once.
//
//   {"kind": "sweep", "rows": n, "columns": [{"name": ..., "values": [...]} | {"name": ..., "distinct": [...], "at": [...]}]}
// A hundred thousand rows stay below 25 MB so.
#pragma once

#include <string>

#include "spec/reader.hpp"

namespace moeline {

// SpecError when the text holds no rows; `origin` names it.
Json sweep_page(std::string text, const std::string& origin);

}  // namespace moeline
