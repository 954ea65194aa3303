#include "reports/sweep_page.hpp"

#include <charconv>
#include <unordered_map>

#include "fit/csv.hpp"
#include "spec/json.hpp"

namespace moeline {
namespace {

struct Column {
  std::string name;
  std::vector<Json> values;
};

// A cell of CSV as what it was before: a number, true, false, nothing or text.
Json value_of(std::string_view cell) {
  if (cell.empty()) return nullptr;
  if (cell == "true" || cell == "false") return cell == "true";
  double number = 0;
  const auto [end, error] = std::from_chars(cell.data(), cell.data() + cell.size(), number);
  if (error == std::errc{} && end == cell.data() + cell.size()) return number;
  std::string text(cell);
  for (std::size_t at = text.find("\"\""); at != std::string::npos; at = text.find("\"\"", at + 1)) text.erase(at, 1);
  return text;
}

std::vector<Column> columns_of_csv(std::string text, const std::string& origin) {
  const Csv csv = Csv::parse(std::move(text), origin);
  std::vector<Column> columns;
  for (const std::string& name : csv.columns()) {
    Column& column = columns.emplace_back(Column{name, {}});
    for (std::size_t row = 0; row < csv.rows(); ++row) column.values.push_back(value_of(csv.text(row, name)));
  }
  return columns;
}

std::vector<Column> columns_of_lines(const std::string& text, const std::string& origin) {
  std::vector<Column> columns;
  std::size_t rows = 0;
  for (std::size_t at = 0; at < text.size(); ++rows) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    const Json row = parse_json(std::string_view(text).substr(at, end - at), origin);
    at = end + 1;
    for (const auto& cell : row.items()) {
      auto found = std::find_if(columns.begin(), columns.end(), [&](const Column& c) { return c.name == cell.key(); });
      if (found == columns.end()) found = columns.insert(columns.end(), Column{cell.key(), std::vector<Json>(rows)});
      found->values.push_back(cell.value());
    }
    for (Column& column : columns) column.values.resize(rows + 1);
  }
  return columns;
}

// Written once where it pays.
Json column_json(const Column& column) {
  std::unordered_map<std::string, std::size_t> places;
  Json distinct = Json::array(), at = Json::array();
  for (const Json& value : column.values) {
    const auto [place, fresh] = places.emplace(value.dump(), places.size());
    if (fresh) distinct.push_back(value);
    at.push_back(place->second);
    if (places.size() > 1 + column.values.size() / 3) return Json{{"name", column.name}, {"values", column.values}};
  }
  return Json{{"name", column.name}, {"distinct", std::move(distinct)}, {"at", std::move(at)}};
}

}  // namespace

Json sweep_page(std::string text, const std::string& origin) {
  const bool lines = !text.empty() && text.front() == '{';
  const std::vector<Column> columns = lines ? columns_of_lines(text, origin) : columns_of_csv(std::move(text), origin);
  Json out{{"kind", "sweep"}, {"rows", columns.empty() ? 0 : columns.front().values.size()}, {"columns", Json::array()}};
  if (columns.empty()) throw SpecError(origin, "holds no rows of a sweep");
  for (const Column& column : columns) out["columns"].push_back(column_json(column));
  return out;
}

}  // namespace moeline
