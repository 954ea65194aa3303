#include "validate/suite.hpp"

#include <algorithm>
#include <sstream>

#include "spec/json.hpp"

namespace moeline {
namespace {

using Shape = std::map<std::string, double>;

double seconds(ObjectReader& reader, std::string_view key, double fallback) {
  if (!reader.has(key)) return reader.skip(key), fallback;
  return reader.quantity<Dimension{.second = 1}>(key).in(second);
}

Effort read_effort(ObjectReader& reader) {
  Effort effort;
  effort.warm_up = seconds(reader, "warm_up", effort.warm_up);
  effort.least_seconds = seconds(reader, "least", effort.least_seconds);
  effort.most_seconds = seconds(reader, "most", effort.most_seconds);
  effort.noise = reader.number_or("noise", 1e-4, 1, effort.noise);
  effort.least_samples = static_cast<std::size_t>(reader.integer_or("samples", {1, 100000}, 10));
  return effort;
}

// A string, a list of strings, or {""} where there is none.
std::vector<std::string> names(ObjectReader& group, std::string_view key) {
  if (!group.has(key)) return group.skip(key), std::vector<std::string>{""};
  if (group.any(key).is_string()) return {group.string(key)};
  return group.strings(key);
}

std::vector<std::string> words(const std::string& text) {
  std::istringstream stream(text);
  return {std::istream_iterator<std::string>(stream), {}};
}

// What the names of `key` take together: one row for each of its values.
std::vector<Shape> rows_of(ObjectReader& shape, const std::string& key) {
  const std::vector<std::string> columns = words(key);
  const Json& values = shape.any(key);
  std::vector<Shape> rows;
  for (const Json& value : values.is_array() ? values : Json::array({values})) {
    const Json tuple = value.is_array() ? value : Json::array({value});
    const bool numbers =
        std::ranges::all_of(tuple, [](const Json& v) { return v.is_number() && v.get<double>() >= 0; });
    if (!numbers || tuple.size() != columns.size()) shape.fail(key, "expected sizes, one for each name");
    Shape& row = rows.emplace_back();
    for (std::size_t i = 0; i < columns.size(); ++i) row[columns[i]] = tuple[i].get<double>();
  }
  return rows;
}

std::vector<Shape> shapes_of(ObjectReader shape) {
  std::vector<Shape> shapes{{}};
  for (const std::string& key : shape.keys()) {
    std::vector<Shape> longer;
    for (const Shape& begun : shapes) {
      for (Shape row : rows_of(shape, key)) {
        row.insert(begun.begin(), begun.end());
        longer.push_back(std::move(row));
      }
    }
    shapes = std::move(longer);
  }
  return shapes;
}

void add_group(std::vector<Case>& cases, ObjectReader& group) {
  const std::string op = group.string("op");
  const auto seed = static_cast<std::uint64_t>(group.integer_or("seed", kNonNegative, 1));
  const std::vector<std::string> libraries = names(group, "library"), kinds = names(group, "kind"),
                                 dtypes = names(group, "dtype");
  const std::vector<Shape> shapes = shapes_of(group.object("shape"));
  group.finish();
  for (const std::string& library : libraries) {
    for (const std::string& kind : kinds) {
      for (const std::string& dtype : dtypes) {
        for (const Shape& shape : shapes) cases.push_back({op, library, kind, dtype, shape, seed});
      }
    }
  }
}

}  // namespace

Suite read_suite(const Json& json, const std::string& origin) {
  ObjectReader reader(json, origin);
  Suite suite;
  reader.skip_all({"effort", "fresh"});
  if (reader.has("effort")) {
    ObjectReader effort = reader.object("effort");
    suite.effort = read_effort(effort);
    suite.hot = effort.boolean_or("hot", false);
    suite.visits = static_cast<std::size_t>(effort.integer_or("visits", {1, 100}, 1));
    effort.finish();
  }
  for (ObjectReader& group : reader.objects("cases")) add_group(suite.cases, group);
  if (reader.has("fresh")) {
    for (ObjectReader& group : reader.objects("fresh")) add_group(suite.fresh, group);
  }
  reader.finish();
  return suite;
}

Suite find_suite(const std::string& value, const std::string& backend) {
  if (value.ends_with(".json")) return read_suite(parse_json(read_file(value), value), value);
  const std::string name = backend + "-" + value;
  for (const CatalogueEntry& entry : suite_catalogue()) {
    if (entry.name == name) return read_suite(parse_json(entry.text, name), "suites/" + name + ".json");
  }
  throw SpecError("--suite " + value, "expected quick, full or a .json file");
}

}  // namespace moeline
