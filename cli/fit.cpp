// `moeline fit`: measurements -> calibration. `moeline check`: predictions against measurements.
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cmath>
#include <fstream>
#include <memory>

#include "cli/commands.hpp"
#include "fit/calibration_file.hpp"
#include "fit/measurement.hpp"
#include "reports/calibration_page.hpp"
#include "spec/catalogue.hpp"

namespace moeline {
namespace {

void progress(const std::string& text) {
  if (isatty(STDERR_FILENO) == 1) fmt::print(stderr, "\r\033[K{}", text);
}

// Written beside and renamed, so that an interrupted run leaves the old file whole.
void write_whole(const std::string& path, const std::string& text) {
  const std::string partial = path + ".partial";
  {
    std::ofstream file(partial, std::ios::binary);
    file << text;
    if (!file.flush()) throw SpecError(partial, "cannot be written");
  }
  if (std::rename(partial.c_str(), path.c_str()) != 0) throw SpecError(path, "cannot be written");
}

constexpr std::size_t kFewest = 20;  // rows of a family worth fitting; fewer can be checked

std::string left_out(const FamilyData& family) {
  const FamilyKey& key = family.key;
  std::string text = fmt::format("{} {} {} {}: {} rows, too few to fit\n", key.device, key.operation, key.library, key.dtype,
                                 family.observations.measured.size());
  for (const auto& [reason, rows] : family.skipped) text += fmt::format("  {} rows left out: {}\n", rows, reason);
  return text;
}

int fit_files(const std::vector<std::string>& files, const std::string& folder, const std::string& source) {
  std::vector<FamilyData> all;
  for (const std::string& file : files) {
    for (FamilyData& family : read_families(file)) all.push_back(std::move(family));
  }
  std::map<std::string, Json> by_device;
  for (std::size_t i = 0; i < all.size(); ++i) {
    progress(fmt::format("fitting {} of {}: {} {} {}", i + 1, all.size(), all[i].key.device, all[i].key.library, all[i].key.dtype));
    if (all[i].observations.measured.size() < kFewest) {
      progress("");
      fmt::print("{}", left_out(all[i]));
      continue;
    }
    const FamilyFit page = fit_family(all[i]);
    progress("");
    fmt::print("{}", page_text(page));
    Json& device = by_device[page.key.device];
    if (device.is_null()) device = Json{{"device", page.key.device}, {"source", source}, {"families", Json::array()}};
    device["families"].push_back(to_json(page));
  }
  for (const auto& [device, json] : by_device) {
    if (!folder.empty()) write_whole(folder + "/" + device + ".json", json.dump(1) + "\n");
  }
  return kAnswered;
}

// The page of the calibration in the catalogue that has this family; nullptr if there is none.
const FamilyFit* page_for(const FamilyKey& key, std::vector<FamilyFit>& pages) {
  for (const CatalogueEntry& entry : calibration_catalogue()) {
    if (entry.name != key.device) continue;
    pages = read_pages(parse_json(entry.text, std::string(entry.name)), std::string(entry.name));
    for (const FamilyFit& page : pages) {
      if (page.key == key) return &page;
    }
  }
  return nullptr;
}

Json check_family(const FamilyData& family, const std::string& file) {
  Json json{{"file", file}, {"device", family.key.device}, {"family", family.key.operation}, {"library", family.key.library},
            {"dtype", family.key.dtype}};
  std::vector<FamilyFit> pages;
  const FamilyFit* page = page_for(family.key, pages);
  std::vector<double> residuals;
  for (std::size_t row = 0; page != nullptr && row < family.observations.measured.size(); ++row) {
    residuals.push_back(std::log(family.observations.predicted(page->fit.values, row) / family.observations.measured[row]));
  }
  const ErrorSummary e = summarise(residuals);
  json["n"] = e.n;
  json["mean_abs_error"] = e.mean;
  json["median_abs_error"] = e.median;
  json["p90_abs_error"] = e.p90;
  json["bias"] = e.bias;
  json["coverage_p10_p90"] = page != nullptr ? coverage(residuals, page->spread) : 0;
  json["skipped"] = family.skipped;
  if (page == nullptr) json["skipped"]["no calibration for this family"] = family.observations.measured.size();
  return json;
}

int check_files(const std::vector<std::string>& files, const std::string& output) {
  Json groups = Json::array();
  for (const std::string& file : files) {
    for (const FamilyData& family : read_families(file)) groups.push_back(check_family(family, file));
  }
  if (output == "json") {
    fmt::print("{}\n", Json{{"groups", groups}}.dump(2));
    return kAnswered;
  }
  fmt::print("{:<12}{:<12}{:<10}{:<11}{:>7}{:>9}{:>9}{:>9}{:>9}{:>10}\n", "device", "family", "library", "dtype", "n", "mean",
             "median", "p90", "bias", "coverage");
  for (const Json& g : groups) {
    const auto percent = [&](const char* key) { return 100 * g[key].get<double>(); };
    fmt::print("{:<12}{:<12}{:<10}{:<11}{:>7}{:>7.1f} %{:>7.1f} %{:>7.1f} %{:>+7.1f} %{:>8.0f} %\n", g["device"].get<std::string>(),
               g["family"].get<std::string>(), g["library"].get<std::string>(), g["dtype"].get<std::string>(), g["n"].get<int>(),
               percent("mean_abs_error"), percent("median_abs_error"), percent("p90_abs_error"), percent("bias"),
               percent("coverage_p10_p90"));
    for (const auto& skipped : g["skipped"].items()) {
      fmt::print("{:<12}  {} rows left out: {}\n", "", skipped.value().get<std::size_t>(), skipped.key());
    }
  }
  return kAnswered;
}

}  // namespace

void add_fit(CLI::App& app, Action& action) {
  CLI::App* command = app.add_subcommand("fit", "measurements -> calibration, fit and held-out errors");
  command->footer("Example: moeline fit aic_gemm_h200_b200.csv --write hw_profiles/calibration");
  auto files = std::make_shared<std::vector<std::string>>();
  auto folder = std::make_shared<std::string>(), source = std::make_shared<std::string>("not stated");
  command->add_option("files", *files, "measurement files (CSV)")->required();
  command->add_option("--write", *folder, "folder for one calibration file per device");
  command->add_option("--source", *source, "whose measurements these are, with licence");
  command->callback([=, &action] { action = [=] { return fit_files(*files, *folder, *source); }; });
}

void add_check(CLI::App& app, Action& action) {
  CLI::App* command = app.add_subcommand("check", "predictions against measurements: error table by family, with sign");
  command->footer("Example: moeline check aic_gemm_h200_b200.csv -o json");
  auto files = std::make_shared<std::vector<std::string>>();
  auto output = std::make_shared<std::string>("table");
  command->add_option("files", *files, "measurement files (CSV)")->required();
  take_one_of(command->add_option("-o,--output", *output, "how to write the answer; table if left out"), {"table", "json"});
  command->callback([=, &action] { action = [=] { return check_files(*files, *output); }; });
}

}  // namespace moeline
