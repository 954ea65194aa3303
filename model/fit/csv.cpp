#include "fit/csv.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <fstream>
#include <sstream>

#include "error.hpp"

namespace moeline {
namespace {

// Fields of one line; quotes are stripped, doubled quotes inside them are kept as they are.
std::vector<std::string_view> fields(std::string_view line) {
  std::vector<std::string_view> list;
  std::size_t at = 0;
  while (at <= line.size()) {
    if (at < line.size() && line[at] == '"') {
      std::size_t end = at + 1;
      while (end < line.size() && (line[end] != '"' || (end + 1 < line.size() && line[end + 1] == '"'))) {
        end += line[end] == '"' ? 2 : 1;
      }
      list.push_back(line.substr(at + 1, std::min(end, line.size()) - at - 1));
      at = std::min(line.find(',', std::min(end, line.size())), line.size()) + 1;
    } else {
      const std::size_t comma = std::min(line.find(',', at), line.size());
      list.push_back(line.substr(at, comma - at));
      at = comma + 1;
    }
  }
  return list;
}

}  // namespace

Csv Csv::read(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw SpecError(path, "cannot be read: no such file, or no permission");
  std::stringstream text;
  text << file.rdbuf();
  if (file.bad()) throw SpecError(path, "cannot be read: is it a directory?");
  return parse(std::move(text).str(), path);
}

Csv Csv::parse(std::string text, const std::string& origin) {
  Csv csv;
  csv.origin_ = origin;
  csv.text_ = std::make_shared<const std::string>(std::move(text));
  const std::string_view all = *csv.text_;
  std::size_t line_number = 0;
  for (std::size_t at = 0; at < all.size();) {
    const std::size_t end = std::min(all.find('\n', at), all.size());
    std::string_view line = all.substr(at, end - at);
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    at = end + 1;
    ++line_number;
    if (line.empty()) continue;
    std::vector<std::string_view> cells = fields(line);
    if (csv.columns_.empty()) {
      csv.columns_.assign(cells.begin(), cells.end());
      continue;
    }
    if (cells.size() != csv.columns_.size()) {
      throw SpecError(fmt::format("{}:{}", origin, line_number),
                      fmt::format("{} fields where the header names {}", cells.size(), csv.columns_.size()));
    }
    csv.cells_.push_back(std::move(cells));
  }
  if (csv.columns_.empty()) throw SpecError(origin, "the file is empty");
  return csv;
}

std::optional<std::size_t> Csv::find(std::string_view column) const {
  const auto found = std::find(columns_.begin(), columns_.end(), column);
  if (found == columns_.end()) return std::nullopt;
  return static_cast<std::size_t>(found - columns_.begin());
}

bool Csv::has_all(const std::vector<std::string_view>& columns) const {
  return std::all_of(columns.begin(), columns.end(), [&](std::string_view column) { return has(column); });
}

std::string_view Csv::text(std::size_t row, std::string_view column) const {
  const std::optional<std::size_t> index = find(column);
  if (!index) throw SpecError(origin_, fmt::format("has no column \"{}\"", column));
  return cells_[row][*index];
}

std::optional<double> Csv::number(std::size_t row, std::string_view column) const {
  const std::string_view cell = text(row, column);
  double value = 0;
  const auto [end, error] = std::from_chars(cell.data(), cell.data() + cell.size(), value);
  if (error != std::errc{} || end != cell.data() + cell.size() || !std::isfinite(value)) return std::nullopt;
  return value;
}

void Csv::keep(const std::function<bool(std::size_t)>& kept) {
  std::vector<std::vector<std::string_view>> left;
  for (std::size_t row = 0; row < cells_.size(); ++row) {
    if (kept(row)) left.push_back(cells_[row]);
  }
  cells_ = std::move(left);
}

}  // namespace moeline
