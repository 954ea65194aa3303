// `moeline check`: predictions against measurements.
#include "reports/check_table.hpp"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/commands.hpp"
#include "cli/measurement_files.hpp"
#include "fit/measurement.hpp"
#include "fit/pages.hpp"

namespace moeline {
namespace {

struct Request {
  std::vector<std::string> files;
  std::string calibration = "auto", conditions = "benchmark", output = "table";
};

// Pages of a calibration file of one's own; those measured on another device than the rows' are strangers.
std::vector<Page> pages_from(const std::string& path, const std::string& device) {
  std::vector<Page> pages;
  for (FamilyFit& fit : read_pages(parse_json(read_file(path), path), path)) {
    const bool own = fit.key.device == device;
    pages.push_back({.fit = std::move(fit), .own = own, .widening = own ? 1 : kStranger});
  }
  return pages;
}

int check_files(const Request& request) {
  const Conditions conditions = request.conditions == "step" ? Conditions::step : Conditions::benchmark;
  std::vector<CheckedFile> checked;
  std::map<std::string, std::vector<Page>> pages;
  for (const MeasurementFile& file : measurement_files(request.files)) {
    CheckedFile& result = checked.emplace_back(CheckedFile{.path = file.path});
    try {
      for (const FamilyData& family : read_families(file.path)) {
        const auto [entry, first] = pages.try_emplace(family.key.device);
        if (first) {
          entry->second = request.calibration == "auto" ? pages_for_device(family.key.device)
                                                        : pages_from(request.calibration, family.key.device);
        }
        result.families.push_back(check_rows(family, entry->second, conditions));
      }
    } catch (const SpecError& error) {
      if (file.named) throw;
      result.refusal = error.what();
    }
  }
  if (request.output == "json") {
    fmt::print("{}\n", check_json(checked).dump(2));
  } else {
    fmt::print("{}", check_text(checked));
  }
  return kAnswered;
}

}  // namespace

void add_check(CLI::App& app, Action& action) {
  CLI::App* command = app.add_subcommand("check", "predictions against measurements: error table by family, with sign");
  command->footer("Example: moeline check aic_gemm_h200_b200.csv -o json");
  auto request = std::make_shared<Request>();
  command->add_option("files", request->files, "measurement files (CSV or JSONL), or folders of them")->required();
  command->add_option("--calibration", request->calibration,
                      "auto, or a calibration file to check instead of those carried");
  take_one_of(command->add_option("--conditions", request->conditions,
                                  "benchmark: as the rows were timed; step: operands from HBM and sustained clocks, as predictions are made"),
              {"benchmark", "step"});
  take_one_of(command->add_option("-o,--output", request->output, "how to write the answer; table if left out"),
              {"table", "json"});
  command->callback([=, &action] { action = [=] { return check_files(*request); }; });
}

}  // namespace moeline
