// Any bytes as a scenario file: read, or refused with SpecError; nothing else.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "spec/json.hpp"
#include "spec/scenario.hpp"

namespace {

using moeline::Json;

// Names with a slash or ending in .json are opened as files; the fuzzer stays inside its own input.
bool names_a_file(const Json& json) {
  if (json.is_object()) {
    const auto base = json.find("base");
    return base != json.end() && names_a_file(*base);
  }
  if (!json.is_string()) return false;
  const std::string text = json.get<std::string>();
  return text.find('/') != std::string::npos || text.ends_with(".json");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const Json json = moeline::parse_json(text, "fuzz.json");
    if (!json.is_object()) return 0;
    for (const char* key : {"model", "hardware"}) {
      if (json.contains(key) && names_a_file(json[key])) return 0;
    }
    const auto speculation = json.find("speculation");
    if (speculation != json.end() && speculation->is_object() && speculation->contains("draft") && names_a_file((*speculation)["draft"]))
      return 0;
    const moeline::Scenario scenario = moeline::read_scenario(json, "fuzz.json");
    // What was understood must be readable again.
    moeline::read_scenario(scenario.resolved, "resolved.json");
  } catch (const moeline::SpecError&) {
  }
  return 0;
}
