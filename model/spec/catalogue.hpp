// Which models and machines are known by name? The JSON files of model_configs/, hw_profiles/ and
// hw_profiles/calibration/, carried inside the library, so that the binary answers from any directory. Names accept '_' for '-'.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "spec/json.hpp"
#include "spec/reader.hpp"

namespace moeline {

struct CatalogueEntry {
  std::string_view name;
  std::string_view text;  // the JSON file
};

std::span<const CatalogueEntry> model_catalogue();
std::span<const CatalogueEntry> hardware_catalogue();
std::span<const CatalogueEntry> calibration_catalogue();

// A JSON document and what to call it in messages and answers.
struct Document {
  Json json;
  std::string origin;  // file name for messages
  std::string name;    // what answers call it
};

// `value` is a catalogue name, a path ending in .json, an inline object, or {"base": name, ...changes}.
// Changes to a fact may be plain: {"device": {"hbm_bandwidth": "6 TB/s"}} keeps the fact and notes the new source.
Document find_model(const Json& value, const std::string& where);
Document find_hardware(const Json& value, const std::string& where);
Document find_calibration(const Json& value, const std::string& where);

// Puts `change` over `document`; a plain value over a fact replaces its value and source.
void overlay(Json& document, const Json& change);

}  // namespace moeline
