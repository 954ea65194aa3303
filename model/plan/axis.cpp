#include "plan/axis.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

namespace moeline {
namespace {

constexpr double kMostValues = 1e9;
constexpr double kWholeLimit = 9007199254740992.0;  // 2^53: whole numbers a double holds exactly
constexpr const char* kForms =
    "expected a list [16, 32], a range \"1..9+2\" or \"256..2048*2\", or {\"from\": 1, \"to\": 9, \"scale\": \"log\"}";

struct Written {
  double value = 0;
  std::string unit;
  bool whole = false;  // a JSON number without a fraction
};

std::string trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(' '), last = text.find_last_not_of(' ');
  return first == std::string_view::npos ? "" : std::string(text.substr(first, last - first + 1));
}

Written written(const std::string& given, const std::string& where) {
  const std::string text = trimmed(given);
  Written number;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number.value);
  if (error != std::errc{} || !std::isfinite(number.value)) {
    throw SpecError(where, fmt::format("\"{}\": expected a number, with or without a unit", text));
  }
  number.unit = trimmed(std::string_view(text).substr(static_cast<std::size_t>(end - text.data())));
  if (!number.unit.empty()) {
    const std::string problem = parse_quantity("1 " + number.unit).problem;
    if (!problem.empty()) throw SpecError(where, fmt::format("\"{}\": {}", text, problem));
  }
  return number;
}

Written written(const Json& json, const std::string& where) {
  if (json.is_string()) return written(json.get<std::string>(), where);
  if (!json.is_number()) throw SpecError(where, "expected a number, or a string with a unit");
  return {json.get<double>(), "", json.is_number_integer()};
}

void same_unit(const Written& a, const Written& b, const std::string& where) {
  if (a.unit != b.unit) {
    throw SpecError(where, fmt::format("both ends need the same unit, not \"{}\" and \"{}\"", a.unit, b.unit));
  }
}

// Twelve digits hide what binary fractions add: 0.1 + 2 x 0.1 reads 0.3.
Json number(double value, const std::string& unit) {
  if (unit.empty() && std::abs(value) < kWholeLimit && value == std::floor(value)) return static_cast<std::int64_t>(value);
  const std::string text = fmt::format("{:.12g}", value);
  if (!unit.empty()) return text + " " + unit;
  const double rounded = std::strtod(text.c_str(), nullptr);
  if (std::abs(rounded) < kWholeLimit && rounded == std::floor(rounded)) return static_cast<std::int64_t>(rounded);
  return rounded;
}

double steps_of(const SteppedRange& range, double to) {
  const double steps =
      range.factor > 1 ? std::log(to / range.from) / std::log(range.factor) : (to - range.from) / range.step;
  return std::floor(steps * (1 + 1e-12) + 1e-9);
}

SteppedRange read_range(const std::string& text, const std::string& where) {
  const std::size_t dots = text.find("..");
  if (dots == std::string::npos) throw SpecError(where, fmt::format("\"{}\": {}", text, kForms));
  const std::string tail = text.substr(dots + 2);
  std::size_t sign = tail.find_last_of("*+");
  if (sign != std::string::npos && sign > 0 && std::tolower(static_cast<unsigned char>(tail[sign - 1])) == 'e' &&
      sign > 1 && std::isdigit(static_cast<unsigned char>(tail[sign - 2])) != 0) {
    sign = std::string::npos;  // the exponent of 1e+3
  }
  const Written from = written(text.substr(0, dots), where), to = written(tail.substr(0, sign), where);
  same_unit(from, to, where);
  SteppedRange range{.from = from.value, .step = 1, .factor = 1, .count = 0, .unit = from.unit};
  if (sign == std::string::npos && !range.unit.empty()) {
    throw SpecError(where, fmt::format("\"{}\": say the step, such as \"{}*2\"", text, text));
  }
  if (sign != std::string::npos) {
    const Written by = written(tail.substr(sign + 1), where);
    const bool product = tail[sign] == '*';
    if (!by.unit.empty() && (product || by.unit != range.unit)) {
      throw SpecError(where, fmt::format("\"{}\": the step has another unit than the ends", text));
    }
    if (product ? !(by.value > 1) : !(by.value > 0)) {
      throw SpecError(where, fmt::format("\"{}\": the step must be above {}", text, product ? "*1" : "+0"));
    }
    (product ? range.factor : range.step) = by.value;
    if (product && !(range.from > 0)) throw SpecError(where, fmt::format("\"{}\": a product starts above 0", text));
  }
  if (to.value < range.from) throw SpecError(where, fmt::format("\"{}\": ends before it starts", text));
  const double count = steps_of(range, to.value) + 1;
  if (!(count <= kMostValues)) throw SpecError(where, fmt::format("\"{}\": more than a billion values", text));
  range.count = static_cast<std::uint64_t>(count);
  return range;
}

Span read_span(const Json& json, const std::string& where) {
  ObjectReader reader(json, where);
  const Written from = written(reader.any("from"), where + "/from"), to = written(reader.any("to"), where + "/to");
  same_unit(from, to, where);
  reader.skip("scale");
  Span span{
      .from = from.value, .to = to.value, .log = false, .whole = from.whole && to.whole, .steps = 0, .unit = from.unit};
  if (reader.has("scale")) span.log = reader.one_of("scale", {"linear", "log"}) == "log";
  span.steps = static_cast<std::uint64_t>(reader.integer_or("steps", {2, static_cast<std::int64_t>(kMostValues)}, 0));
  reader.finish();
  if (!(span.to > span.from)) throw SpecError(where, "\"to\" must be above \"from\"");
  if (span.log && !(span.from > 0)) throw SpecError(where, "a logarithmic range starts above 0");
  return span;
}

double along(const Span& span, double share) {
  return span.log ? span.from * std::pow(span.to / span.from, share) : span.from + share * (span.to - span.from);
}

Json stepped(const SteppedRange& range, std::uint64_t index) {
  const auto i = static_cast<double>(index);
  return number(range.factor > 1 ? range.from * std::pow(range.factor, i) : range.from + i * range.step, range.unit);
}

}  // namespace

Axis::Axis(std::string pointer, const Json& values, const std::string& where) : pointer_(std::move(pointer)), where_(where) {
  if (pointer_.size() < 2 || pointer_[0] != '/') {
    throw SpecError(where, "expected a pointer into the scenario, such as /parallelism/ep");
  }
  if (values.is_array()) {
    if (values.empty()) throw SpecError(where, "the list is empty");
    values_ = values.get<std::vector<Json>>();
  } else if (values.is_string()) {
    values_ = read_range(values.get<std::string>(), where);
  } else if (values.is_object()) {
    values_ = read_span(values, where);
  } else {
    throw SpecError(where, kForms);
  }
}

std::uint64_t Axis::count() const {
  if (const auto* list = std::get_if<std::vector<Json>>(&values_)) return list->size();
  if (const auto* range = std::get_if<SteppedRange>(&values_)) return range->count;
  return std::get<Span>(values_).steps;
}

Json Axis::value(std::uint64_t index) const {
  MOELINE_EXPECT(index < count());
  if (const auto* list = std::get_if<std::vector<Json>>(&values_)) return (*list)[index];
  if (const auto* range = std::get_if<SteppedRange>(&values_)) return stepped(*range, index);
  const Span& span = std::get<Span>(values_);
  if (index + 1 == span.steps) return number(span.to, span.unit);
  return number(along(span, static_cast<double>(index) / static_cast<double>(span.steps - 1)), span.unit);
}

Json Axis::sample(double share) const {
  const Span* span = std::get_if<Span>(&values_);
  if (span == nullptr || span->steps > 0) {
    const auto index = static_cast<std::uint64_t>(share * static_cast<double>(count()));
    return value(std::min(index, count() - 1));
  }
  if (!span->whole) return number(along(*span, share), span->unit);
  // Whole numbers own equal parts of [from, to + 1), so that both ends are as likely as the rest.
  Span wide = *span;
  wide.to += 1;
  return number(std::min(std::floor(along(wide, share)), span->to), "");
}

}  // namespace moeline
