// `moeline calibrate`: measure, fit, check on shapes that the fit never saw, report.
#include <fmt/format.h>

#include <filesystem>

#include "cli/measuring.hpp"
#include "cli/reporting.hpp"
#include "cli/subcommand.hpp"
#include "cli/whole_file.hpp"
#include "fit/checking.hpp"
#include "fit/measurement.hpp"
#include "fit/pages.hpp"
#include "reports/calibration_report.hpp"
#include "reports/check_table.hpp"
#include "spec/json.hpp"

namespace moeline {
namespace {

struct Request {
  MeasureFlags flags;
  std::string folder = "calibration", source, report;
};

// One page a family that has rows enough.
std::vector<FamilyFit> fitted_pages(const std::string& path, const std::string& source) {
  std::vector<FamilyFit> pages;
  for (const FamilyData& family : read_families(path)) {
    if (family.check_only) continue;
    pages.push_back(fit_family(family));
    pages.back().source = source;
  }
  return pages;
}

std::vector<Checked> checked_families(const std::string& path, const std::vector<FamilyFit>& fits) {
  std::vector<Page> pages;
  for (const FamilyFit& fit : fits) pages.push_back({.fit = fit});
  std::vector<Checked> checked;
  for (const FamilyData& family : read_families(path)) checked.push_back(check_rows(family, pages));
  return checked;
}

int calibrate_with(LoadedBackend& loaded, const Request& request) {
  const Suite suite = find_suite(request.flags.suite, loaded.name);
  std::filesystem::create_directories(request.folder);
  const std::string folder = request.folder + "/", fitted = folder + "measurements.jsonl",
                    fresh = folder + "fresh.jsonl";
  const Machine& machine = loaded.machine;
  CalibrationReport report{.machine = machine.title, .folder = request.folder};
  {
    RecordFile file(fitted, machine), fresh_file(fresh, machine);
    measured(loaded, suite, interleaved(tasks_of(suite.cases, file), tasks_of(suite.fresh, fresh_file)), request.flags);
    report.records = file.records();
    report.fresh_records = fresh_file.records();
  }
  if (report.records.empty())
    throw HardwareError("nothing could be measured: " + request.flags.suite + " has no case for " + machine.device);
  const std::string source =
      request.source.empty() ? "measured by moeline calibrate on " + machine.title : request.source;
  report.pages = fitted_pages(fitted, source);
  report.checked = checked_families(fresh, report.pages);
  std::vector<Json> families;
  for (const FamilyFit& page : report.pages) families.push_back(to_json(page));
  write_whole(folder + machine.device + ".json", page_file_text(machine.device, families));
  if (!machine.profile.empty())
    write_whole(folder + "hardware.json", parse_json(machine.profile, "profile").dump(2) + "\n");
  write_whole(folder + "report.md", calibration_markdown(report));
  write_report(request.report, [&] {
    Json page = check_page({{.path = fresh, .families = report.checked, .refusal = ""}});
    page["kind"] = "calibrate";
    page["machine"] = machine.title;
    return page;
  });
  fmt::print("{}", calibration_text(report));
  return kAnswered;
}

int calibrate(const Request& request) {
  return answer_measured(request.flags, [&](LoadedBackend& loaded) { return calibrate_with(loaded, request); });
}

}  // namespace

void add_calibrate(CLI::App& app, Action& action) {
  const auto [command, request] =
      subcommand(app, action, calibrate, "calibrate", "measure, fit and check this machine; ends with a report",
                 "Example: moeline calibrate --backend host --write my_machine\n"
                 "Exchanges between processes, one a core: mpirun -n 16 moeline calibrate --backend host   (or srun)");
  request->flags.add_to(*command);
  command->add_option("--write", request->folder, "folder for records, calibration, hardware profile and report");
  add_report_to(*command, request->report);
  command->add_option("--source", request->source, "whose measurements these are, with licence");
}

}  // namespace moeline
