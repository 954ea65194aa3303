#include "fit/pages.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <utility>

#include "spec/json.hpp"

namespace moeline {
namespace {

// Six digits: more would be noise, and a device's file stays small.
double kept(double value) { return std::stod(fmt::format("{:.6g}", value)); }

Json kept(const std::vector<double>& values) {
  Json list = Json::array();
  for (const double value : values) list.push_back(std::stod(fmt::format("{:.4f}", value)));
  return list;
}

Json summary_json(const ErrorSummary& s) {
  return Json{
      {"n", s.n}, {"mean", kept(s.mean)}, {"median", kept(s.median)}, {"p90", kept(s.p90)}, {"bias", kept(s.bias)}};
}

ErrorSummary read_summary(ObjectReader reader) {
  ErrorSummary s{.n = static_cast<std::size_t>(reader.integer("n", kNonNegative)),
                 .mean = reader.number("mean", 0, 1e6),
                 .median = reader.number("median", 0, 1e6),
                 .p90 = reader.number("p90", 0, 1e6),
                 .bias = reader.number("bias", -1e6, 1e6)};
  reader.finish();
  return s;
}

Json class_json(const SizeClass& c) {
  return Json{{"above_us", kept(c.above_us)}, {"n", c.n},
              {"mean", kept(c.mean)},         {"bias", kept(c.bias)},
              {"p10", kept(c.spread.low)},    {"p90", kept(c.spread.high)},
              {"coverage", kept(c.coverage)}};
}

SizeClass read_class(ObjectReader& reader) {
  SizeClass c{.above_us = reader.number("above_us", 0, 1e12),
              .n = static_cast<std::size_t>(reader.integer("n", kNonNegative)),
              .mean = reader.number("mean", 0, 1e6),
              .bias = reader.number("bias", -1e6, 1e6)};
  c.spread = {reader.number("p10", -10, 10), reader.number("p90", -10, 10)};
  c.coverage = reader.number("coverage", 0, 1);
  reader.finish();
  return c;
}

std::vector<double> read_numbers(ObjectReader& reader, std::string_view key) {
  std::vector<double> numbers;
  for (const Json& number : reader.any(key)) {
    if (!number.is_number()) reader.fail(key, "expected a list of numbers");
    numbers.push_back(number.get<double>());
  }
  return numbers;
}

Json surface_json(const Surface& surface) {
  Json axes = Json::array();
  for (std::size_t i = 0; i < surface.axes.size(); ++i) {
    axes.push_back(Json{{"log2_of", surface.axes[i]}, {"knots", kept(surface.knots[i])}});
  }
  return Json{{"axes", axes}, {"values", kept(surface.values)}};
}

Surface read_surface(ObjectReader reader) {
  Surface surface;
  std::size_t points = 1;
  for (ObjectReader& axis : reader.objects("axes")) {
    surface.axes.push_back(axis.string("log2_of"));
    surface.knots.push_back(read_numbers(axis, "knots"));
    const std::vector<double>& knots = surface.knots.back();
    if (knots.size() < 2 || !std::is_sorted(knots.begin(), knots.end(), std::less_equal<>()))
      axis.fail("knots", "expected ascending numbers");
    points *= knots.size();
    axis.finish();
  }
  surface.values = read_numbers(reader, "values");
  if (surface.axes.size() > Surface::kMostAxes || surface.values.size() != points)
    reader.fail("values", "expected one value a grid point");
  reader.finish();
  return surface;
}

FamilyFit read_page(ObjectReader& reader, const std::string& device) {
  FamilyFit page;
  page.key = {device, reader.string("operation"), reader.string("library"), reader.string("dtype")};
  page.source = reader.string("source");
  ObjectReader parameters = reader.object("parameters");
  for (const std::string& name : parameters.keys()) {
    ObjectReader one = parameters.object(name);
    page.parameters.push_back({.name = name, .unit = one.string("unit")});
    page.fit.values.push_back(one.number("value", 1e-12, 1e12));
    page.fit.at_bound.push_back(!one.boolean("identified"));
    one.finish();
  }
  page.fitted = read_summary(reader.object("fitted"));
  page.held_out = read_summary(reader.object("held_out"));
  ObjectReader spread = reader.object("spread");
  page.spread = {spread.number("p10", -10, 10), spread.number("p90", -10, 10)};
  spread.finish();
  page.next_decade = read_summary(reader.object("next_decade"));
  page.coverage = reader.number("coverage", 0, 1);
  for (ObjectReader& size_class : reader.objects("classes")) page.classes.push_back(read_class(size_class));
  if (reader.has("surface")) page.surface = read_surface(reader.object("surface"));
  page.domain = reader.string("domain");
  reader.skip("skipped");
  reader.finish();
  return page;
}

// A structure of structures has one line a member; everything else is one line.
std::string members_by_line(const Json& value) {
  const bool nested = value.is_structured() && !value.empty() && value.begin()->is_structured();
  if (!nested) return value.dump();
  std::string text(1, value.is_object() ? '{' : '[');
  std::string_view comma = "\n";
  for (const auto& [key, member] : value.items()) {
    text += fmt::format("{}    {}{}", std::exchange(comma, ",\n"), value.is_object() ? fmt::format("\"{}\": ", key) : "", member.dump());
  }
  return text + (value.is_object() ? "\n   }" : "\n   ]");
}

}  // namespace

Json to_json(const FamilyFit& page) {
  Json parameters = Json::object();
  for (std::size_t i = 0; i < page.parameters.size(); ++i) {
    parameters[page.parameters[i].name] = Json{
        {"value", kept(page.fit.values[i])}, {"unit", page.parameters[i].unit}, {"identified", !page.fit.at_bound[i]}};
  }
  Json classes = Json::array();
  for (const SizeClass& c : page.classes) classes.push_back(class_json(c));
  Json json{{"operation", page.key.operation}, {"library", page.key.library}, {"dtype", page.key.dtype},
            {"source", page.source},           {"domain", page.domain},       {"parameters", parameters}};
  if (!page.surface.empty()) json["surface"] = surface_json(page.surface);
  json["fitted"] = summary_json(page.fitted);
  json["held_out"] = summary_json(page.held_out);
  json["next_decade"] = summary_json(page.next_decade);
  json["spread"] = Json{{"p10", kept(page.spread.low)}, {"p90", kept(page.spread.high)}};
  json["coverage"] = kept(page.coverage);
  json["classes"] = classes;
  json["skipped"] = page.skipped;
  return json;
}

std::string page_file_text(const std::string& device, const std::vector<Json>& pages) {
  std::string text = fmt::format("{{\n \"device\": {},\n \"families\": [", Json(device).dump());
  std::string_view page_comma = "\n";
  for (const Json& page : pages) {
    text += fmt::format("{}  {{", std::exchange(page_comma, ",\n"));
    std::string_view comma = "\n";
    for (const auto& [key, value] : page.items()) {
      text += fmt::format("{}   \"{}\": {}", std::exchange(comma, ",\n"), key, members_by_line(value));
    }
    text += "\n  }";
  }
  return text + "\n ]\n}\n";
}

std::vector<FamilyFit> carried_file(std::string_view text, const std::string& origin, bool all) {
  // Carried text was checked when it was built: no look for duplicate keys, which takes half the time of a cold start.
  Json json = Json::parse(text);
  if (!all) {
    Json pricing = Json::array();
    for (Json& page : json["families"]) {
      const std::string& operation = page["operation"].get_ref<const std::string&>();
      const bool serves = operation == "moe_op" || operation.ends_with("decode") || operation == "framework_all_reduce";
      if (!serves) pricing.push_back(std::move(page));
    }
    json["families"] = std::move(pricing);
  }
  return read_pages(json, origin);
}

std::vector<FamilyFit> read_pages(const Json& json, const std::string& origin) {
  ObjectReader reader(json, origin);
  const std::string device = reader.string("device");
  reader.skip("families");
  if (!reader.has("families")) reader.finish();  // a misspelt key says so before a missing one does
  std::vector<FamilyFit> pages;
  for (ObjectReader& page : reader.objects("families")) pages.push_back(read_page(page, device));
  reader.finish();
  return pages;
}

}  // namespace moeline
