#include "reports/formats.hpp"
#include "spec/json.hpp"

namespace moeline {

std::string render(const Evaluation& evaluation, const Scenario& scenario, Format format, const Terminal& terminal,
                   const std::vector<std::string>& help) {
  switch (format) {
    case Format::table: return to_screen(evaluation, scenario, terminal, help);
    case Format::json: return to_json(evaluation, scenario).dump(2) + "\n";
    case Format::csv: return to_csv(evaluation);
    case Format::markdown: return to_markdown(evaluation, scenario);
  }
  return {};
}

}  // namespace moeline
