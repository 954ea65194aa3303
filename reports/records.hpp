// Lists and facts as tables for spreadsheets and documents: one line a record, one column a key.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace moeline {

// `records` is an array of flat objects with the same keys; nested values are left out.
std::string records_csv(const nlohmann::ordered_json& records);
std::string records_markdown(const nlohmann::ordered_json& records);

// Any document as records of path and value; a fact {"value", "source"} becomes one record with its source.
nlohmann::ordered_json facts(const nlohmann::ordered_json& document);

}  // namespace moeline
