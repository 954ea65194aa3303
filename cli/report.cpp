// `moeline report`: saved results as a page, several side by side.
#include <fmt/format.h>

#include <map>

#include "cli/reporting.hpp"
#include "cli/subcommand.hpp"
#include "cli/whole_file.hpp"
#include "reports/sweep_page.hpp"
#include "spec/json.hpp"

namespace moeline {
namespace {

// Of a kind that the page draws, with what it draws first.
bool is_answer(const Json& answer) {
  static const std::map<std::string, const char*> drawn{
      {"train", "breakdown"}, {"layer", "breakdown"}, {"serve", "breakdown"}, {"explain", "elasticities"}, {"compare", "parts"},
      {"solve", "vary"},      {"sweep", "columns"},   {"search", "layouts"},  {"route", "balancers"},      {"load", "plans"},
      {"check", "groups"},    {"calibrate", "groups"}};
  const Json kind = answer.value("kind", Json());
  if (!kind.is_string()) return false;
  const auto known = drawn.find(kind.get<std::string>());
  return known != drawn.end() && (answer.value("feasible", Json()) == false || answer.contains(known->second));
}

// An object of -o json, or the rows of a sweep as CSV or JSON lines.
Json saved_answer(const std::string& path) {
  std::string text = whole_text(path);
  const std::size_t first = text.find_first_not_of(" \t\r\n");
  if (first == std::string::npos) throw SpecError(path, "is empty");
  const bool object = text[first] == '{', rows = !object || text.find("\n{") != std::string::npos;
  Json answer = rows ? sweep_page(std::move(text), path) : parse_json(text, path);
  if (answer.contains("groups") && !answer.contains("kind")) answer["kind"] = "check";
  if (answer.contains("feasible") && answer["feasible"] == false && !answer.contains("kind")) answer["kind"] = "train";
  if (!is_answer(answer)) throw SpecError(path, "is no result: expected what `-o json` or a sweep writes");
  answer["file"] = path;
  return answer;
}

struct Request {
  std::vector<std::string> files;
  std::string out;
};

int report(const Request& request) {
  Json answers = Json::array();
  for (const std::string& file : request.files) answers.push_back(saved_answer(file));
  write_page(request.out, answers);
  fmt::print("{}\n", request.out);
  return kAnswered;
}

}  // namespace

void add_report(CLI::App& app, Action& action) {
  const auto [command, request] =
      subcommand(app, action, report, "report", "saved results as a page to look at, several side by side",
                 "Example: moeline report a.json b.json rows.csv --report out.html");
  command->add_option("files", request->files, "results of -o json, rows of a sweep (CSV or JSON lines)")->required();
  command->add_option("--report", request->out, "the page to write: --report out.html")->required();
}

}  // namespace moeline
