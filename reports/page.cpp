#include "reports/page.hpp"

#include <algorithm>
#include <filesystem>

namespace moeline {
namespace {

constexpr std::string_view kPlace = "{\"answers\":[]}";  // in the page

// JSON inside <script>: with no '<' nothing in it can end the element or open a comment.
std::string embeddable(const Json& json) {
  std::string out;
  for (const char c : json.dump(-1, ' ', false, Json::error_handler_t::replace)) {
    if (c == '<') {
      out += "\\u003c";
    } else {
      out += c;
    }
  }
  return out;
}

// Files that a scenario names: a browser has none of them.
void add_files(const Json& value, Json& files) {
  if (value.is_structured()) {
    for (const Json& item : value) add_files(item, files);
  } else if (value.is_string()) {
    const std::string path = value.get<std::string>();
    std::error_code none;
    if (path.find_first_of("./") != std::string::npos && std::filesystem::is_regular_file(path, none)) files[path] = read_file(path);
  }
}

Json files_of(const Json& answers) {
  Json files = Json::object();
  for (const Json& answer : answers) {
    if (!answer.is_object() || !answer.contains("scenario")) continue;
    for (const char* part : {"model", "hardware", "calibration", "routing"}) {
      if (answer["scenario"].contains(part)) add_files(answer["scenario"][part], files);
    }
  }
  return files;
}

}  // namespace

bool pages_are_built_in() { return !page_template().empty(); }

std::string page_html(const PageContent& content) {
  const std::string_view page = page_template();
  const std::size_t at = page.find(kPlace);
  const Json json{{"moeline", "0.1.0"}, {"command", content.command}, {"answers", content.answers}, {"files", files_of(content.answers)}};
  std::string html(page.substr(0, at));
  html += embeddable(json);
  return html.append(page.substr(at + kPlace.size()));
}

}  // namespace moeline
