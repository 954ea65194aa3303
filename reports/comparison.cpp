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

// What an answer is asked for: its name, the numbers that add up to it, and the phase whose rows do; all rows if empty.
struct AskedTime {
  std::string name;
  std::vector<const char*> pointers;
  std::string phase{};
};
std::vector<AskedTime> asked_times(const Json& kind) {
  if (kind == "layer") return {{"layer, forward and backward", {"/forward_seconds", "/backward_seconds"}}};
  if (kind == "serve") return {{"time per output token", {"/tpot_seconds/value"}, "decode"}, {"time to first token", {"/ttft_seconds/value"}, "prefill"}};
  return {{"step", {"/step_time_seconds/value"}}};
}

void add_side(ComparedTime& time, const AskedTime& asked, const Json& result, double ComparedTime::*total,
              double ComparedPart::*side, const std::string& where) {
  for (const char* pointer : asked.pointers) time.*total += number_at(result, pointer, where);
  for (std::size_t i = 0; i < result["breakdown"].size(); ++i) {
    const Json& row = result["breakdown"][i];
    const std::string at = fmt::format("/breakdown/{}/exposed_seconds", i);
    const double exposed = number_at(result, at, where);
    if (!row.contains("name") || !row["name"].is_string() || !row.contains("phase") || !row["phase"].is_string())
      throw SpecError(where + "#/breakdown", "every row needs name and phase");
    const std::string name = row["name"].get<std::string>(), phase = row["phase"].get<std::string>();
    if (!asked.phase.empty() && phase != asked.phase) continue;
    auto found = std::find_if(time.parts.begin(), time.parts.end(),
                              [&](const ComparedPart& p) { return p.name == name && p.phase == phase; });
    if (found == time.parts.end()) found = time.parts.insert(time.parts.end(), ComparedPart{name, phase});
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
  if (!is_result(result)) throw SpecError(where, "is no result of `moeline train -o json`, `layer -o json` or `serve -o json`");
}

struct Figure {
  const char *name, *pointer;
  double scale;
  const char* unit;
};
constexpr Figure kFigures[]{{"tokens/s per device", "/tokens_per_second_per_device", 1, ""},
                            {"tokens/s per user", "/tokens_per_second_per_user", 1, ""},
                            {"requests/s", "/requests_per_second", 1, ""},
                            {"requests that memory holds", "/max_concurrency", 1, ""},
                            {"MFU", "/mfu", 100, " %"},
                            {"memory", "/memory/required_bytes", 1e-9, " GB"}};

}  // namespace

bool is_result(const Json& json) {
  if (!json.is_object() || !json.contains("kind") || !json.contains("breakdown")) return false;
  const Json& kind = json["kind"];
  return (kind == "train" || kind == "layer" || kind == "serve") && json["breakdown"].is_array();
}

Comparison compared(Json before, Json after, const std::string& a, const std::string& b) {
  check(before, a);
  check(after, b);
  if (before["kind"] != after["kind"])
    throw SpecError(b,
                    fmt::format("answers \"{}\", {} answers \"{}\"", plain(after["kind"]), a, plain(before["kind"])));
  Comparison c{.first = std::move(before), .second = std::move(after)};
  for (const AskedTime& asked : asked_times(c.first["kind"])) {
    ComparedTime& time = c.times.emplace_back(ComparedTime{.name = asked.name, .parts = {}});
    add_side(time, asked, c.first, &ComparedTime::first, &ComparedPart::first, a);
    add_side(time, asked, c.second, &ComparedTime::second, &ComparedPart::second, b);
    std::stable_sort(time.parts.begin(), time.parts.end(), [](const ComparedPart& x, const ComparedPart& y) {
      return std::abs(x.difference()) > std::abs(y.difference());
    });
  }
  c.fields = changed_fields(c.first, c.second);
  return c;
}

namespace {

std::string signed_seconds(double value) { return fmt::format("{}{}", value < 0 ? "-" : "", format(std::abs(value) * second)); }

std::string line_text(const std::string& name, double x, double y, double of) {
  const double difference = y - x;
  return fmt::format("  {:<32}{:>12}{:>12}{:>12}{:>10}\n", name, signed_seconds(x), signed_seconds(y),
                     fmt::format("{}{}", difference > 0 ? "+" : "", signed_seconds(difference)),
                     fmt::format("{:+.2f} %", 100 * difference / of));
}

// The parts that make the difference, and all others in one line.
std::string parts_text(const ComparedTime& time, bool of_one_phase) {
  std::string out;
  ComparedPart rest;
  for (const ComparedPart& part : time.parts) {
    if (std::abs(part.difference()) > 5e-4 * time.first) {
      const bool plain = part.name == part.phase || of_one_phase;
      out += line_text(plain ? part.name : part.name + " " + part.phase, part.first, part.second, time.first);
    } else {
      rest.first += part.first;
      rest.second += part.second;
    }
  }
  return out + line_text("what changes less", rest.first, rest.second, time.first);
}

Json time_json(const ComparedTime& time) {
  Json out{{"first_seconds", time.first}, {"second_seconds", time.second}, {"difference_seconds", time.difference()}, {"parts", Json::array()}};
  for (const ComparedPart& part : time.parts) {
    out["parts"].push_back(Json{{"name", part.name},
                                {"phase", part.phase},
                                {"first_seconds", part.first},
                                {"second_seconds", part.second},
                                {"difference_seconds", part.difference()}});
  }
  return out;
}

}  // namespace

std::string comparison_text(const Comparison& c, const std::string& a, const std::string& b) {
  std::string out = fmt::format("A  {}\nB  {}\n", a, b);
  for (const ComparedField& field : c.fields) {
    if (field.first.size() + field.second.size() < 160)
      out += fmt::format("  {}: {} -> {}\n", field.pointer, field.first, field.second);
  }
  out += fmt::format("\n  {:<32}{:>12}{:>12}{:>12}{:>10}\n", "", "A", "B", "B - A", "of A");
  for (const ComparedTime& time : c.times) out += line_text(time.name, time.first, time.second, time.first);
  for (const Figure& f : kFigures) {
    const Json::json_pointer at(f.pointer);
    if (!c.first.contains(at) || !c.second.contains(at)) continue;
    const double x = f.scale * c.first[at].get<double>(), y = f.scale * c.second[at].get<double>();
    out += fmt::format("  {:<32}{:>12}{:>12}{:>12}\n", f.name, fmt::format("{:.4g}{}", x, f.unit),
                       fmt::format("{:.4g}{}", y, f.unit), fmt::format("{:+.3g}{}", y - x, f.unit));
  }
  const bool several = c.times.size() > 1;
  for (const ComparedTime& time : c.times) {
    out += several ? fmt::format("\n  of the {}\n", time.name) : "\n";
    out += parts_text(time, several);
  }
  return out;
}

Json comparison_json(const Comparison& c) {
  Json out{{"kind", "compare"}};
  out.update(time_json(c.times.front()));
  if (c.times.size() > 1) out["ttft"] = time_json(c.times[1]);
  out["changes"] = Json::array();
  for (const ComparedField& field : c.fields)
    out["changes"].push_back(Json{{"pointer", field.pointer}, {"first", field.first}, {"second", field.second}});
  out["first"] = c.first;
  out["second"] = c.second;
  return out;
}

}  // namespace moeline
