#include "reports/check_table.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "spec/json.hpp"

namespace moeline {
namespace {

using Json = nlohmann::ordered_json;

// "h200-sxm" when the pages are not the rows' own device's or library's.
std::string lender(const Checked& checked) {
  if (!checked.page) return "";
  const FamilyKey& from = checked.page->fit.key;
  if (from == checked.key) return "";
  return from.device == checked.key.device
             ? from.library
             : from.device + (from.library == checked.key.library ? "" : " " + from.library);
}

Json family_json(const CheckedFile& file, const Checked& checked) {
  Json json{{"file", file.path},
            {"device", checked.key.device},
            {"family", checked.key.operation},
            {"library", checked.key.library},
            {"dtype", checked.key.dtype},
            {"n", checked.errors.n},
            {"mean_abs_error", checked.errors.mean},
            {"median_abs_error", checked.errors.median},
            {"p90_abs_error", checked.errors.p90},
            {"bias", checked.errors.bias},
            {"coverage_p10_p90", checked.coverage},
            {"skipped", checked.skipped}};
  if (!checked.remarkable.empty()) {
    json["beyond_15_percent"] = Json::array();
    for (const RemarkableRow& row : checked.remarkable) json["beyond_15_percent"].push_back({{"row", row.label}, {"error", row.error}});
  }
  const std::string_view unpaged = checked.errors.n > 0 ? "model" : "none";  // whole steps are answered by all pages together
  json["source"] = !checked.page ? unpaged : checked.page->own && lender(checked).empty() ? "fitted" : "extrapolated";
  if (!lender(checked).empty()) json["borrowed_from"] = lender(checked);
  json["by_size"] = Json::array();
  for (const SizeClass& c : checked.classes) {
    json["by_size"].push_back({{"predicted_above_seconds", c.above_us * 1e-6},
                               {"n", c.n},
                               {"mean_abs_error", c.mean},
                               {"bias", c.bias},
                               {"coverage_p10_p90", c.coverage}});
  }
  return json;
}

}  // namespace

std::string check_text(const std::vector<CheckedFile>& files) {
  std::string out = fmt::format("{:<16}{:<34}{:<20}{:<19}{:>6}{:>9}{:>9}{:>9}{:>9}{:>9}  {}\n", "device", "family",
                                "library", "dtype", "n", "mean", "median", "p90", "bias", "inside", "borrowed from");
  for (const CheckedFile& file : files) {
    if (!file.refusal.empty()) out += file.refusal + "\n";
    for (const Checked& c : file.families) {
      if (c.errors.n > 0) {
        out += fmt::format("{:<16}{:<34}{:<20}{:<19}{:>6}{:>7.1f} %{:>7.1f} %{:>7.1f} %{:>+7.1f} %{:>7.0f} %  {}\n",
                           c.key.device, c.key.operation, c.key.library, c.key.dtype, c.errors.n, 100 * c.errors.mean,
                           100 * c.errors.median, 100 * c.errors.p90, 100 * c.errors.bias, 100 * c.coverage, lender(c));
      } else {
        out += fmt::format("{:<16}{:<34}{:<20}{:<19}\n", c.key.device, c.key.operation, c.key.library, c.key.dtype);
      }
      for (const auto& [reason, rows] : c.skipped)
        out += fmt::format("{:<16}  {} rows left out: {}\n", "", rows, reason);
      for (const RemarkableRow& row : c.remarkable) out += fmt::format("{:<16}  {:+.1f} %  {}\n", "", 100 * row.error, row.label);
    }
  }
  return out;
}

Json check_json(const std::vector<CheckedFile>& files) {
  Json json{{"groups", Json::array()}, {"unread", Json::array()}};
  for (const CheckedFile& file : files) {
    if (!file.refusal.empty()) json["unread"].push_back({{"file", file.path}, {"reason", file.refusal}});
    for (const Checked& checked : file.families) json["groups"].push_back(family_json(file, checked));
  }
  return json;
}

namespace {

// Seconds, to the digits that a picture shows.
double shown(double us) { return std::stod(fmt::format("{:.4g}", us * 1e-6)); }

Json points_json(const Checked& checked) {
  constexpr std::size_t kMost = 500;
  Json predicted = Json::array(), measured = Json::array(), bands = Json::array();
  const std::size_t rows = std::min(checked.predicted_us.size(), checked.ratios.size()), step = 1 + rows / kMost;
  for (std::size_t i = 0; i < rows; i += step) {
    predicted.push_back(shown(checked.predicted_us[i]));
    measured.push_back(shown(checked.predicted_us[i] * std::exp(-checked.ratios[i])));
  }
  for (const SizeClass& c : checked.classes)
    bands.push_back({{"above_seconds", c.above_us * 1e-6}, {"p10", std::exp(c.spread.low)}, {"p90", std::exp(c.spread.high)}});
  return {{"predicted_seconds", predicted}, {"measured_seconds", measured}, {"measured_over_predicted", bands}};
}

}  // namespace

Json check_page(const std::vector<CheckedFile>& files) {
  Json json{{"kind", "check"}};
  json.update(check_json(files));
  std::size_t group = 0;
  for (const CheckedFile& file : files) {
    for (const Checked& checked : file.families) json["groups"][group++]["points"] = points_json(checked);
  }
  return json;
}

}  // namespace moeline
