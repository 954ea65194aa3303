// The question that a page asks in the browser: {"scenario": {...}, "set": {pointer: value}} in, the answer out.

#include "reports/page_answer.hpp"
#include "spec/json.hpp"

namespace moeline {
namespace {

Json page_about(const char* text) {
  const std::string origin = "scenario";
  try {
    const Json question = parse_json(text, origin);
    Json json = question.at("scenario");
    for (const auto& change : question.at("set").items()) set_field(json, change.key(), change.value(), origin, change.key());
    return page_answer(answer_to(json, origin), json, origin);
  } catch (const std::exception& error) {
    return Json{{"error", error.what()}};
  }
}

// What the selects offer.
Json known_names() {
  Json names{{"hardware", Json::array()}, {"recipes", recipe_names()}};
  for (const CatalogueEntry& entry : hardware_catalogue()) names["hardware"].push_back(entry.name);
  return names;
}

// The text lives until the next call.
const char* kept(const Json& json) {
  static std::string text;
  text = json.dump(-1, ' ', false, Json::error_handler_t::replace);
  return text.c_str();
}

}  // namespace
}  // namespace moeline

extern "C" const char* answer(const char* question) { return moeline::kept(moeline::page_about(question)); }
extern "C" const char* known() { return moeline::kept(moeline::known_names()); }
