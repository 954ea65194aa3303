// Answers as one HTML file that needs no network: the page made at build time from reports/page/, carrying them as JSON.
//
//   {"moeline": version, "command": ..., "answers": [...], "files": {path: text}}
// What an answer holds is rendered by its "kind", in reports/page/kinds/; names in it reach the page as text alone.
#pragma once

#include <string>
#include <string_view>

#include "spec/json.hpp"
#include "spec/reader.hpp"

namespace moeline {

struct PageContent {
  std::string command;  // that made it
  Json answers;         // objects of -o json, or of page_answer
};

// False where the build had no npm.
bool pages_are_built_in();
std::string page_html(const PageContent& content);

// The page, empty where it was not built; generated.
std::string_view page_template();

}  // namespace moeline
