// Any bytes as a model's config.json: read and counted, or refused with SpecError; nothing else.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "spec/json.hpp"
#include "spec/llm.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const moeline::Json json = moeline::parse_json(text, "fuzz.json");
    const moeline::ModelSpec model = moeline::read_model(json, "fuzz.json", "fuzz");
    const moeline::ModelParameters count = moeline::parameters(model);
    MOELINE_EXPECT(count.active <= count.main && count.main <= count.checkpoint);
  } catch (const moeline::SpecError&) {
  }
  return 0;
}
