// The module that a page carries, compiled for this machine: what a browser is told, without a browser.
#include <catch2/catch.hpp>

#include "reports/page_answer.hpp"
#include "spec/json.hpp"

extern "C" const char* answer(const char* question);
extern "C" const char* known();

using namespace moeline;

namespace {
const Json kScenario{{"model", "qwen3-30b-a3b"}, {"hardware", "h200-sxm"}, {"devices", 8}, {"workload", {{"kind", "train"}}}};

Json told(const Json& set) { return parse_json(answer(Json{{"scenario", kScenario}, {"set", set}}.dump().c_str()), "module"); }
}  // namespace

TEST_CASE("a page is told what --set would have answered") {
  Json moved = kScenario;
  moved["workload"]["micro_batch"] = 2;
  CHECK(told({{"/workload/micro_batch", 2}}) == parse_json(page_answer(answer_to(moved, "scenario"), moved, "scenario").dump(), "page"));
}

TEST_CASE("a page is told of a mistake in the words of the program") {
  CHECK(told({{"/parallelism/eq", 2}})["error"].get<std::string>().find("did you mean \"ep\"") != std::string::npos);
}

TEST_CASE("a page can offer every machine and recipe that is known") {
  const Json names = parse_json(known(), "module");
  CHECK(names["hardware"].size() == hardware_catalogue().size());
  CHECK(names["recipes"] == Json(recipe_names()));
}
