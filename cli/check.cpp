// `moeline check`: predictions against measurements.
#include "reports/check_table.hpp"

#include <fmt/format.h>

#include "cli/reporting.hpp"
#include "cli/subcommand.hpp"
#include "spec/json.hpp"

namespace moeline {
namespace {

struct Request {
  std::vector<std::string> files;
  std::string calibration = "auto", conditions = "benchmark", output = "table", report;
};

int check(const Request& request) {
  const std::vector<CheckedFile> checked =
      check_files(request.files, request.calibration, conditions_named(request.conditions));
  write_report(request.report, [&] { return check_page(checked); });
  if (request.output == "json") {
    fmt::print("{}\n", check_json(checked).dump(2));
  } else {
    fmt::print("{}", check_text(checked));
  }
  return kAnswered;
}

}  // namespace

void add_check(CLI::App& app, Action& action) {
  const auto [command, request] =
      subcommand(app, action, check, "check", "predictions against measurements: error table by family, with sign",
                 "Example: moeline check aic_gemm_h200_b200.csv -o json");
  command->add_option("files", request->files, "measurement files (CSV or JSONL), or folders of them")->required();
  command->add_option("--calibration", request->calibration,
                      "auto, or a calibration file to check instead of those carried");
  take_one_of(
      command->add_option(
          "--conditions", request->conditions,
          "benchmark: as the rows were timed; step: operands from HBM and sustained clocks, as predictions are made"),
      {"benchmark", "step"});
  take_one_of(command->add_option("-o,--output", request->output, "how to write the answer; table if left out"),
              {"table", "json"});
  add_report_to(*command, request->report);
}

}  // namespace moeline
