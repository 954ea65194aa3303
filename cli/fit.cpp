// `moeline fit`: measurements -> calibration.
#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <map>
#include <optional>

#include "cli/subcommand.hpp"
#include "cli/whole_file.hpp"
#include "fit/fitted_page.hpp"
#include "fit/measurement.hpp"
#include "fit/measurement_files.hpp"
#include "fit/pages.hpp"
#include "reports/accuracy_plot.hpp"
#include "reports/calibration_page.hpp"
#include "spec/json.hpp"

namespace moeline {
namespace {

struct Request {
  std::vector<std::string> files;
  std::string folder, plots, source, sources;
};

// How far a long run is, on a terminal only: families done, rows done, time left by rows.
class Progress {
 public:
  explicit Progress(std::size_t rows) : rows_(rows) {}

  void begin(const FamilyData& family) const {
    if (!visible_) return;
    const double share = rows_ > 0 ? static_cast<double>(done_) / static_cast<double>(rows_) : 0;
    const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - start_;
    const std::string left = share > 0.02 ? fmt::format(", {:.0f} s left", spent.count() / share * (1 - share)) : "";
    constexpr int kWidth = 24;
    const int filled = static_cast<int>(share * kWidth);
    fmt::print(stderr, "\r\033[K{:█<{}}{:░<{}} {:3.0f} %{}  {} {} {} {}", "", filled, "", kWidth - filled, 100 * share,
               left, family.key.device, family.key.operation, family.key.library, family.key.dtype);
  }
  void end(const FamilyData& family) {
    done_ += family.observations.measured.size();
    if (visible_) fmt::print(stderr, "\r\033[K");
  }

 private:
  std::size_t rows_, done_ = 0;
  bool visible_ = isatty(STDERR_FILENO) == 1;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

// Pictures of the held-out predictions, one file an operation.
void write_plots(const std::string& folder, const std::map<std::string, std::vector<AccuracyPanel>>& by_operation) {
  for (const auto& [operation, panels] : by_operation)
    write_whole(folder + "/" + operation + ".svg", accuracy_svg(operation, panels));
}

// Whose measurements each file holds: --sources by file name, else --source, else that nobody said.
class Sources {
 public:
  explicit Sources(const Request& request) : everywhere_(request.source.empty() ? "not stated" : request.source) {
    if (!request.sources.empty()) by_file_ = parse_json(read_file(request.sources), request.sources);
  }
  std::string of(const std::string& path) const {
    const std::string name = std::filesystem::path(path).filename().string();
    return by_file_.contains(name) && by_file_[name].is_string() ? by_file_[name].get<std::string>() : everywhere_;
  }

 private:
  std::string everywhere_;
  Json by_file_ = Json::object();
};

struct Task {
  FamilyData family;
  std::string source;
};

// The device's file as it was: pages fitted now replace those of the same key, the others stay.
std::string device_file(const std::string& folder, const std::string& device, const std::vector<FamilyFit>& fitted) {
  const std::string path = folder + "/" + device + ".json";
  std::map<std::string, Json> pages;  // by key, so that the order does not depend on which files were fitted first
  const auto put = [&](const FamilyFit& page) {
    pages[page.key.operation + " " + page.key.library + " " + page.key.dtype] = to_json(page);
  };
  if (std::filesystem::exists(path)) {
    for (const FamilyFit& page : read_pages(parse_json(read_file(path), path), path)) put(page);
  }
  for (const FamilyFit& page : fitted) put(page);
  std::vector<Json> families;
  for (auto& [key, page] : pages) families.push_back(std::move(page));
  return page_file_text(device, families);
}

int fit_files(const Request& request) {
  const Sources sources(request);
  std::vector<Task> all;
  std::size_t rows = 0;
  for (const MeasurementFile& file : measurement_files(request.files)) {
    try {
      for (FamilyData& family : read_families(file.path)) {
        rows += family.observations.measured.size();
        all.push_back({std::move(family), sources.of(file.path)});
      }
    } catch (const SpecError& error) {
      if (file.named) throw;
      fmt::print(stderr, "{}\n", error.what());
    }
  }
  Progress progress(rows);
  std::map<std::string, std::vector<FamilyFit>> by_device;
  std::map<std::string, std::vector<AccuracyPanel>> by_operation;
  for (const auto& [family, source] : all) {
    const bool alone = fits_alone(family);
    if (!alone) {
      fmt::print("{} · {} · {} · {}: {} rows, nothing fitted{}\n", family.key.device, family.key.operation, family.key.library,
                 family.key.dtype, family.observations.measured.size(), family.observations.measured.empty() ? "" : ": can be checked");
      for (const auto& [reason, count] : family.skipped) fmt::print("  {} rows left out: {}\n", count, reason);
    }
    if (alone) progress.begin(family);
    std::optional<FamilyFit> page = fitted_page(family, source);
    if (alone) progress.end(family);
    if (!page) continue;
    fmt::print("{}", page_text(*page));
    by_device[page->key.device].push_back(*page);
    if (alone && !request.plots.empty())
      by_operation[page->key.operation].push_back({*std::move(page), family.observations.measured});
  }
  if (!request.folder.empty()) {
    for (const auto& [device, pages] : by_device) {
      write_whole(request.folder + "/" + device + ".json", device_file(request.folder, device, pages));
    }
  }
  write_plots(request.plots, by_operation);
  return kAnswered;
}

}  // namespace

void add_fit(CLI::App& app, Action& action) {
  const auto [command, request] =
      subcommand(app, action, fit_files, "fit", "measurements -> calibration, fit and held-out errors",
                 "Example: moeline fit aic_gemm_h200_b200.csv --write hw_profiles/calibration");
  command->add_option("files", request->files, "measurement files (CSV or JSONL), or folders of them")->required();
  command->add_option("--write", request->folder, "folder for one calibration file per device");
  command->add_option("--plots", request->plots, "folder for pictures of held-out predictions, one SVG an operation");
  command->add_option("--source", request->source, "whose measurements these are, with licence");
  command->add_option("--sources", request->sources, "the same by file: a JSON object of file name and text");
}

}  // namespace moeline
