#include "reports/comparison.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace moeline {
namespace {

double number_at(const Json& json, const std::string& pointer, const std::string& where) {
  const Json::json_pointer at(pointer);
  if (!json.contains(at) || !json[at].is_number())
    throw SpecError(where + "#" + pointer, "missing: not a result of -o json");
  return json[at].get<double>();
}

double seconds_of(const Json& result, const std::string& where) {
  if (result["kind"] == "layer")
    return number_at(result, "/forward_seconds", where) + number_at(result, "/backward_seconds", where);
  return number_at(result, "/step_time_seconds/value", where);
}

void add_parts(std::vector<ComparedPart>& parts, const Json& result, double ComparedPart::*side,
               const std::string& where) {
  for (std::size_t i = 0; i < result["breakdown"].size(); ++i) {
    const Json& row = result["breakdown"][i];
    const std::string at = fmt::format("/breakdown/{}/exposed_seconds", i);
    const double exposed = number_at(result, at, where);
    if (!row.contains("name") || !row["name"].is_string() || !row.contains("phase") || !row["phase"].is_string())
      throw SpecError(where + "#/breakdown", "every row needs name and phase");
    const std::string name = row["name"].get<std::string>(), phase = row["phase"].get<std::string>();
    auto found = std::find_if(parts.begin(), parts.end(),
                              [&](const ComparedPart& p) { return p.name == name && p.phase == phase; });
    if (found == parts.end()) found = parts.insert(parts.end(), ComparedPart{name, phase});
    (*found).*side += exposed;
  }
}

std::string plain(const Json& value) { return value.is_string() ? value.get<std::string>() : value.dump(); }

std::vector<ComparedField> changed_fields(const Json& before, const Json& after) {
  const Json a = before.contains("scenario") ? before["scenario"].flatten() : Json::object();
  const Json b = after.contains("scenario") ? after["scenario"].flatten() : Json::object();
  std::vector<ComparedField> list;
  for (const auto& item : a.items()) {
    if (!b.contains(item.key())) {
      list.push_back({item.key(), plain(item.value()), "-"});
    } else if (b[item.key()] != item.value()) {
      list.push_back({item.key(), plain(item.value()), plain(b[item.key()])});
    }
  }
  for (const auto& item : b.items()) {
    if (!a.contains(item.key())) list.push_back({item.key(), "-", plain(item.value())});
  }
  return list;
}

void check(const Json& result, const std::string& where) {
  if (!is_result(result)) throw SpecError(where, "is no result of `moeline train -o json` or `moeline layer -o json`");
}

struct Figure {
  const char *name, *pointer;
  double scale;
  const char* unit;
};
constexpr Figure kFigures[]{{"tokens/s per device", "/tokens_per_second_per_device", 1, ""},
                            {"MFU", "/mfu", 100, " %"},
                            {"memory", "/memory/required_bytes", 1e-9, " GB"}};

}  // namespace

bool is_result(const Json& json) {
  return json.is_object() && json.contains("kind") && (json["kind"] == "train" || json["kind"] == "layer") &&
         json.contains("breakdown") && json["breakdown"].is_array();
}

Comparison compared(Json before, Json after, const std::string& a, const std::string& b) {
  check(before, a);
  check(after, b);
  if (before["kind"] != after["kind"])
    throw SpecError(b,
                    fmt::format("answers \"{}\", {} answers \"{}\"", plain(after["kind"]), a, plain(before["kind"])));
  Comparison c{.first = std::move(before), .second = std::move(after)};
  c.first_seconds = seconds_of(c.first, a);
  c.second_seconds = seconds_of(c.second, b);
  add_parts(c.parts, c.first, &ComparedPart::first, a);
  add_parts(c.parts, c.second, &ComparedPart::second, b);
  std::stable_sort(c.parts.begin(), c.parts.end(), [](const ComparedPart& x, const ComparedPart& y) {
    return std::abs(x.difference()) > std::abs(y.difference());
  });
  c.fields = changed_fields(c.first, c.second);
  return c;
}

std::string comparison_text(const Comparison& c, const std::string& a, const std::string& b) {
  std::string out = fmt::format("A  {}\nB  {}\n", a, b);
  for (const ComparedField& field : c.fields) {
    if (field.first.size() + field.second.size() < 160)
      out += fmt::format("  {}: {} -> {}\n", field.pointer, field.first, field.second);
  }
  const auto seconds = [](double value) {
    return fmt::format("{}{}", value < 0 ? "-" : "", format(std::abs(value) * moeline::second));
  };
  const auto line = [&](const std::string& name, double x, double y) {
    const double difference = y - x;
    return fmt::format("  {:<32}{:>12}{:>12}{:>12}{:>10}\n", name, seconds(x), seconds(y),
                       fmt::format("{}{}", difference > 0 ? "+" : "", seconds(difference)),
                       fmt::format("{:+.2f} %", 100 * difference / c.first_seconds));
  };
  out += fmt::format("\n  {:<32}{:>12}{:>12}{:>12}{:>10}\n", "", "A", "B", "B - A", "of A");
  out += line(c.first["kind"] == "layer" ? "layer, forward and backward" : "step", c.first_seconds, c.second_seconds);
  for (const Figure& f : kFigures) {
    const Json::json_pointer at(f.pointer);
    if (!c.first.contains(at) || !c.second.contains(at)) continue;
    const double x = f.scale * c.first[at].get<double>(), y = f.scale * c.second[at].get<double>();
    out += fmt::format("  {:<32}{:>12}{:>12}{:>12}\n", f.name, fmt::format("{:.4g}{}", x, f.unit),
                       fmt::format("{:.4g}{}", y, f.unit), fmt::format("{:+.4g}{}", y - x, f.unit));
  }
  out += "\n";
  double rest_first = 0, rest_second = 0;
  for (const ComparedPart& part : c.parts) {
    if (std::abs(part.difference()) > 5e-4 * c.first_seconds) {
      out += line(part.name == part.phase ? part.name : part.name + " " + part.phase, part.first, part.second);
    } else {
      rest_first += part.first;
      rest_second += part.second;
    }
  }
  return out + line("what changes less", rest_first, rest_second);
}

Json comparison_json(const Comparison& c) {
  Json out{{"kind", "compare"},
           {"first_seconds", c.first_seconds},
           {"second_seconds", c.second_seconds},
           {"difference_seconds", c.second_seconds - c.first_seconds}};
  out["parts"] = Json::array();
  for (const ComparedPart& part : c.parts) {
    out["parts"].push_back(Json{{"name", part.name},
                                {"phase", part.phase},
                                {"first_seconds", part.first},
                                {"second_seconds", part.second},
                                {"difference_seconds", part.difference()}});
  }
  out["changes"] = Json::array();
  for (const ComparedField& field : c.fields)
    out["changes"].push_back(Json{{"pointer", field.pointer}, {"first", field.first}, {"second", field.second}});
  out["first"] = c.first;
  out["second"] = c.second;
  return out;
}

}  // namespace moeline
