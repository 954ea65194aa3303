#include "reports/sweep_rows.hpp"

#include <fmt/format.h>

#include <array>
#include <charconv>

#include "spec/json.hpp"

namespace moeline {
namespace {

// RFC 4180: quoted where it must be, quotes doubled.
std::string cell(std::string text) {
  if (text.find_first_of(",\"\n\r") == std::string::npos) return text;
  for (std::size_t at = text.find('"'); at != std::string::npos; at = text.find('"', at + 2)) text.insert(at, 1, '"');
  return "\"" + text + "\"";
}

std::string text(const Json& value) {
  if (value.is_number_unsigned()) return std::to_string(value.get<std::uint64_t>());
  if (value.is_number_integer()) return std::to_string(value.get<std::int64_t>());
  return cell(value.is_string() ? value.get<std::string>() : value.dump());
}

constexpr std::size_t kUsualRow = 384;  // bytes; rows are most of what a sweep of quick points does, so they are made in place

// Nine digits.
void append(std::string& line, const std::optional<double>& value, std::string_view absent) {
  if (!value) {
    line += absent;
    return;
  }
  std::array<char, 32> text;
  const auto end = std::to_chars(text.begin(), text.end(), *value, std::chars_format::general, 9).ptr;
  line.append(text.begin(), end);
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
  line.reserve(kUsualRow);
  for (const Json& value : point.varied) {
    line += text(value);
    line += ',';
  }
  for (const std::optional<double>& value : point.figures) {
    append(line, value, "");
    line += ',';
  }
  if (point.recompute_chosen) line += cell(*point.recompute_chosen) + ",";
  line += point.feasible ? "true," : "false,";
  return line += cell(point.reason) + "\n";
}

std::string sweep_json_row(const Point& point, const Columns& columns) {
  std::string line = "{";
  line.reserve(2 * kUsualRow);
  for (std::size_t i = 0; i < columns.varied.size(); ++i) {
    line += Json(columns.varied[i]).dump() + ":" + point.varied[i].dump() + ",";
  }
  for (std::size_t i = 0; i < columns.figures.size(); ++i) {
    line += "\"" + columns.figures[i] + "\":";
    append(line, point.figures[i], "null");
    line += ',';
  }
  if (point.recompute_chosen) line += "\"recompute_chosen\":" + Json(*point.recompute_chosen).dump() + ",";
  return line + fmt::format("\"feasible\":{},\"reason\":{}}}\n", point.feasible, Json(point.reason).dump());
}

}  // namespace moeline
