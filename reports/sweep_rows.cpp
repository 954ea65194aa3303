#include "reports/sweep_rows.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

namespace moeline {
namespace {

// RFC 4180: quoted where it must be, quotes doubled.
std::string cell(std::string text) {
  if (text.find_first_of(",\"\n\r") == std::string::npos) return text;
  for (std::size_t at = text.find('"'); at != std::string::npos; at = text.find('"', at + 2)) text.insert(at, 1, '"');
  return "\"" + text + "\"";
}

std::string figure(const std::optional<double>& value, const char* absent) {
  return value ? fmt::format("{:.9g}", *value) : absent;
}

}  // namespace

std::string sweep_csv_header(const Columns& columns) {
  std::string line;
  for (const std::string& name : columns.varied) line += cell(name) + ",";
  for (const std::string& name : columns.figures) line += name + ",";
  return line + (columns.recompute_chosen ? "recompute_chosen," : "") + "feasible,reason\n";
}

std::string sweep_csv_row(const Point& point) {
  std::string line;
  for (const Json& value : point.varied)
    line += cell(value.is_string() ? value.get<std::string>() : value.dump()) + ",";
  for (const std::optional<double>& value : point.figures) line += figure(value, "") + ",";
  if (point.recompute_chosen) line += cell(*point.recompute_chosen) + ",";
  return line + (point.feasible ? "true," : "false,") + cell(point.reason) + "\n";
}

std::string sweep_json_row(const Point& point, const Columns& columns) {
  std::string line = "{";
  for (std::size_t i = 0; i < columns.varied.size(); ++i) {
    line += Json(columns.varied[i]).dump() + ":" + point.varied[i].dump() + ",";
  }
  for (std::size_t i = 0; i < columns.figures.size(); ++i) {
    line += "\"" + columns.figures[i] + "\":" + figure(point.figures[i], "null") + ",";
  }
  if (point.recompute_chosen) line += "\"recompute_chosen\":" + Json(*point.recompute_chosen).dump() + ",";
  return line + fmt::format("\"feasible\":{},\"reason\":{}}}\n", point.feasible, Json(point.reason).dump());
}

}  // namespace moeline
