#include "plan/point.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

namespace moeline {
namespace {

const std::vector<std::string> kTrainFigures{
    "step_time_seconds",     "step_time_p10_seconds",        "step_time_p90_seconds",
    "tokens_per_second",     "tokens_per_second_per_device", "mfu",
    "memory_required_bytes", "memory_available_bytes"};
const std::vector<std::string> kLayerFigures{"forward_seconds", "backward_seconds"};
const std::vector<std::string> kServeFigures{
    "ttft_seconds",           "tpot_seconds",          "tokens_per_second",    "tokens_per_second_per_device",
    "tokens_per_second_per_user", "max_concurrency",   "memory_required_bytes", "memory_available_bytes"};

std::string one_line(std::string text) {
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < ' ') c = ' ';
  }
  return text;
}

std::string last_word(const std::string& pointer) { return pointer.substr(pointer.find_last_of('/') + 1); }

}  // namespace

Columns columns_of(const std::string& kind, std::vector<std::string> varied) {
  return {std::move(varied), kind == "layer" ? kLayerFigures : kind == "serve" ? kServeFigures : kTrainFigures, false};
}

std::size_t Columns::place(const std::string& name, const std::string& where) const {
  std::vector<std::string> names = varied;
  names.insert(names.end(), figures.begin(), figures.end());
  const auto found = std::find(names.begin(), names.end(), name);
  if (found != names.end()) return static_cast<std::size_t>(found - names.begin());
  std::vector<std::size_t> alike;
  for (std::size_t i = 0; i < varied.size(); ++i) {
    if (last_word(varied[i]) == name) alike.push_back(i);
  }
  if (alike.size() == 1) return alike[0];
  if (alike.size() > 1)
    throw SpecError(where, fmt::format("\"{}\" is the end of two pointers; write the whole one", name));
  const std::string near = nearest(name, names);
  throw SpecError(where, near.empty() ? fmt::format("no column \"{}\"; there are {}", name, fmt::join(names, ", "))
                                      : fmt::format("no column \"{}\", did you mean \"{}\"?", name, near));
}

namespace {

Point point_of(const Infeasible& why, const Columns& columns) {
  Point point = bad_point(why.reason, columns);
  const auto required = std::find(columns.figures.begin(), columns.figures.end(), "memory_required_bytes");
  if (why.need && why.have && required != columns.figures.end()) {  // what is available comes next
    const auto at = static_cast<std::size_t>(required - columns.figures.begin());
    point.figures[at] = why.need->in(byte);
    point.figures[at + 1] = why.have->in(byte);
  }
  return point;
}

Point point_of(const LayerEvaluation& layer, const Columns&) {
  Point point{.varied = {}, .figures = {}, .feasible = true, .reason = {}};
  point.figures = {layer.forward.in(second), layer.backward.in(second)};
  return point;
}

Point point_of(const ServeEvaluation& serve, const Columns&) {
  Point point{.varied = {}, .figures = {}, .feasible = true, .reason = {}};
  point.figures = {serve.ttft.value.in(second),        serve.tpot.value.in(second),   serve.tokens_per_second,
                   serve.tokens_per_second_per_device, serve.tokens_per_second_per_user, serve.max_concurrency,
                   serve.memory.total().in(byte),      serve.memory_available.in(byte)};
  return point;
}

Point point_of(const TrainEvaluation& train, const Columns& columns) {
  Point point{.varied = {}, .figures = {}, .feasible = true, .reason = {}};
  point.figures = {train.step.value.in(second),   train.step.p10.in(second),          train.step.p90.in(second),
                   train.tokens_per_second,       train.tokens_per_second_per_device, train.mfu,
                   train.memory.total().in(byte), train.memory_available.in(byte)};
  if (columns.recompute_chosen) point.recompute_chosen = train.recomputation ? train.recomputation->name : "";
  return point;
}

}  // namespace

Point point_of(const StepAnswer& step, const Columns& columns) {
  return std::visit([&](const auto& answer) { return point_of(answer, columns); }, step);
}

Point point_of(const Outcome& outcome, const Columns& columns) {
  if (const Infeasible* why = std::get_if<Infeasible>(&outcome)) return point_of(*why, columns);
  return std::visit([&](const auto& answer) { return point_of(answer, columns); }, std::get<Evaluation>(outcome).answer);
}

Point bad_point(const std::string& reason, const Columns& columns) {
  Point point;
  point.figures.resize(columns.figures.size());
  if (columns.recompute_chosen) point.recompute_chosen = "";
  point.reason = one_line(reason);
  return point;
}

std::optional<double> number_in(const Point& point, std::size_t place) {
  if (place >= point.varied.size()) return point.figures.at(place - point.varied.size());
  const Json& value = point.varied[place];
  if (value.is_number()) return value.get<double>();
  if (!value.is_string()) return std::nullopt;
  const ParsedQuantity parsed = parse_quantity(value.get<std::string>());
  if (!parsed.problem.empty()) return std::nullopt;
  return parsed.in_base;
}

bool larger_is_better(const std::string& column) {
  return column.find("tokens_per_second") != std::string::npos || column == "mfu";
}

Condition::Condition(const std::string& text, const Columns& columns, const std::string& where) {
  if (text == "feasible") return;
  if (text == "memory_fits") {
    fits_ = {columns.place("memory_required_bytes", where), columns.place("memory_available_bytes", where)};
    return;
  }
  const std::size_t at = text.find_first_of("<>=");
  if (at == std::string::npos || at == 0) {
    throw SpecError(where,
                    fmt::format("\"{}\": expected feasible, memory_fits, or a column and a number: mfu>0.4", text));
  }
  const bool two = at + 1 < text.size() && text[at + 1] == '=';
  const char sign = text[at];
  relation_ = sign == '='   ? Relation::equal
              : sign == '<' ? (two ? Relation::at_most : Relation::less)
                            : (two ? Relation::at_least : Relation::greater);
  place_ = columns.place(text.substr(0, at), where);
  const std::string number = text.substr(at + (two ? 2 : 1));
  char* end = nullptr;
  bound_ = std::strtod(number.c_str(), &end);
  if (!number.empty() && *end != '\0') {
    const ParsedQuantity parsed = parse_quantity(number);
    if (!parsed.problem.empty()) throw SpecError(where, fmt::format("\"{}\": {}", text, parsed.problem));
    bound_ = parsed.in_base;
  }
  if (number.empty() || !std::isfinite(bound_)) throw SpecError(where, fmt::format("\"{}\": expected a number", text));
}

bool Condition::holds(const Point& point) const {
  if (!fits_.empty()) {
    const std::optional<double> required = number_in(point, fits_[0]), available = number_in(point, fits_[1]);
    return required && available && *required <= *available;
  }
  if (!place_) return point.feasible;
  const std::optional<double> value = number_in(point, *place_);
  if (!value) return false;
  switch (relation_) {
    case Relation::less:
      return *value < bound_;
    case Relation::at_most:
      return *value <= bound_;
    case Relation::equal:
      return *value == bound_;
    case Relation::at_least:
      return *value >= bound_;
    case Relation::greater:
      return *value > bound_;
  }
  return false;
}

}  // namespace moeline
