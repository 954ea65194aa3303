#include "cli/reporting.hpp"

#include <CLI/CLI.hpp>

#include "cli/commands.hpp"
#include "cli/whole_file.hpp"
#include "reports/page.hpp"
#include "spec/json.hpp"

namespace moeline {
namespace {

std::string command_line;

// As a shell would take it back.
std::string quoted(const std::string& word) {
  const bool plain = !word.empty() && word.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                                             "-_=+.,:/@%") == std::string::npos;
  if (plain) return word;
  std::string out = "'";
  for (const char c : word) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

}  // namespace

void add_report_to(CLI::App& command, std::string& path) {
  must_name_a_file(command.add_option("--report", path, "also write a page to look at, one file without network: --report out.html"));
}

void remember_command(int argc, char** argv) {
  command_line = "moeline";
  for (int i = 1; i < argc; ++i) command_line += " " + quoted(argv[i]);
}

void write_page(const std::string& path, const Json& answers) {
  if (!pages_are_built_in())
    throw SpecError("--report", "this build carries no page: it had no npm; install npm, then configure and build again");
  write_whole(path, page_html({.command = command_line, .answers = answers}));
}

void write_report(const std::string& path, const std::function<Json()>& answer) {
  if (!path.empty()) write_page(path, Json::array({answer()}));
}

}  // namespace moeline
