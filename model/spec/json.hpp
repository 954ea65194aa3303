// JSON values in full, for whoever looks into one; readers know the name from spec/reader.hpp.
//
// Compiled once, in json.cpp, for all that links the model: without the last line every file that touches a value spends
// seconds on doing so itself.
#pragma once

#include <nlohmann/json.hpp>

extern template class nlohmann::basic_json<nlohmann::ordered_map>;
