// `--report FILE.html`: the answer as a page to look at, written beside what goes to stdout.
#pragma once

#include <functional>
#include <string>

#include "spec/reader.hpp"

namespace CLI {
class App;
}

namespace moeline {

void add_report_to(CLI::App& command, std::string& path);
// For the page to say which command made it.
void remember_command(int argc, char** argv);
// Asks for the answer and writes the page; nothing when `path` is empty.
void write_report(const std::string& path, const std::function<Json()>& answer);
// Several answers; SpecError where this build has no page.
void write_page(const std::string& path, const Json& answers);

}  // namespace moeline
