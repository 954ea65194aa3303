#include "fit/check_files.hpp"

#include <fmt/format.h>

#include "fit/measurement.hpp"
#include "fit/measurement_files.hpp"
#include "fit/pages.hpp"
#include "fit/step_check.hpp"
#include "fit/step_data.hpp"
#include "spec/json.hpp"

namespace moeline {
namespace {

// Pages of a calibration file of one's own; those measured on another device than the rows' are strangers.
std::vector<Page> pages_from(const std::string& path, const std::string& device) {
  std::vector<Page> pages;
  for (FamilyFit& fit : read_pages(parse_json(read_file(path), path), path)) {
    const bool own = fit.key.device == device;
    pages.push_back({.fit = std::move(fit), .own = own, .widening = own ? 1 : kStranger});
  }
  return pages;
}

}  // namespace

std::vector<CheckedFile> check_files(const std::vector<std::string>& paths, const std::string& calibration,
                                     Conditions conditions) {
  std::vector<CheckedFile> checked;
  std::map<std::string, std::vector<Page>> pages;
  for (const MeasurementFile& file : measurement_files(paths)) {
    CheckedFile& result = checked.emplace_back(CheckedFile{.path = file.path, .families = {}, .refusal = {}});
    try {
      if (file.path.ends_with(".csv")) {
        const Csv csv = Csv::read(file.path);
        if (is_step_csv(csv) && csv.rows() > 0) {
          result.families = check_steps(csv, calibration);
          continue;
        }
      }
      for (const FamilyData& family : read_families(file.path)) {
        const std::string& device = family.key.device;
        const auto [entry, first] = pages.try_emplace(device);
        if (first) entry->second = calibration == "auto" ? pages_for_device(device) : pages_from(calibration, device);
        result.families.push_back(check_rows(family, entry->second, conditions));
      }
    } catch (const SpecError& error) {
      if (file.named) throw;
      result.refusal = error.what();
    }
  }
  return checked;
}

Conditions conditions_named(const std::string& name) {
  if (name == "step") return Conditions::step;
  if (name == "benchmark") return Conditions::benchmark;
  throw SpecError("conditions", fmt::format("unknown value \"{}\"{}", name, did_you_mean(name, {"benchmark", "step"})));
}

}  // namespace moeline
