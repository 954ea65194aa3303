#include "plan/wanted.hpp"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <map>

#include "plan/bill.hpp"

namespace moeline {
namespace {

enum class Dimensioned { seconds, bytes, share, rate, amount };

using Answer = std::optional<double>;
struct Figure {
  Dimensioned unit;
  Answer (*step)(const Scenario&, const TrainEvaluation&) = nullptr;
  Answer (*layer)(const LayerEvaluation&) = nullptr;
  Answer (*served)(const ServeEvaluation&) = nullptr;

  bool of(const std::string& kind) const { return kind == "layer" ? layer != nullptr : kind == "serve" ? served != nullptr : step != nullptr; }
};

const std::map<std::string, Figure>& figures() {
  using S = const Scenario&;
  using T = const TrainEvaluation&;
  using L = const LayerEvaluation&;
  using V = const ServeEvaluation&;
  using enum Dimensioned;
  static const std::map<std::string, Figure> all{
      {"step_time", {seconds, [](S, T t) -> Answer { return t.step.value.in(second); }}},
      {"mfu", {share, [](S, T t) -> Answer { return t.mfu; }}},
      {"tokens_per_second",
       {rate, [](S, T t) -> Answer { return t.tokens_per_second; }, nullptr, [](V v) -> Answer { return v.tokens_per_second; }}},
      {"tokens_per_second_per_device",
       {rate, [](S, T t) -> Answer { return t.tokens_per_second_per_device; }, nullptr,
        [](V v) -> Answer { return v.tokens_per_second_per_device; }}},
      {"memory",
       {bytes, [](S, T t) -> Answer { return t.memory.total().in(byte); }, nullptr, [](V v) -> Answer { return v.memory.total().in(byte); }}},
      {"memory_headroom",
       {bytes, [](S, T t) -> Answer { return (t.memory_available - t.memory.total()).in(byte); }, nullptr,
        [](V v) -> Answer { return (v.memory_available - v.memory.total()).in(byte); }}},
      {"cost_per_million_tokens",
       {amount, [](S s, T t) -> Answer { return bill(s, t).money_per_million_tokens(); }, nullptr,
        [](V v) -> Answer { return v.money_per_million_tokens; }}},
      {"kilowatt_hours_per_million_tokens",
       {amount, [](S s, T t) -> Answer { return bill(s, t).kilowatt_hours_per_million_tokens(); }}},
      {"layer_time", {seconds, nullptr, [](L l) -> Answer { return (l.forward + l.backward).in(second); }}},
      {"forward_time", {seconds, nullptr, [](L l) -> Answer { return l.forward.in(second); }}},
      {"backward_time", {seconds, nullptr, [](L l) -> Answer { return l.backward.in(second); }}},
      {"ttft", {seconds, nullptr, nullptr, [](V v) -> Answer { return v.ttft.value.in(second); }}},
      {"tpot", {seconds, nullptr, nullptr, [](V v) -> Answer { return v.tpot.value.in(second); }}},
      {"tokens_per_second_per_user", {rate, nullptr, nullptr, [](V v) -> Answer { return v.tokens_per_second_per_user; }}},
      {"requests_per_second", {amount, nullptr, nullptr, [](V v) -> Answer { return v.requests_per_second; }}},
      {"max_concurrency", {amount, nullptr, nullptr, [](V v) -> Answer { return v.max_concurrency; }}}};
  return all;
}

// "12 s" for a time, "100 GB" for memory.
double quantity(const std::string& value, const Dimension& dimension, const char* kind, const std::string& where) {
  const ParsedQuantity parsed = parse_quantity(value);
  if (!parsed.problem.empty()) throw SpecError(where, parsed.problem);
  if (parsed.dimension != dimension) throw SpecError(where, fmt::format("wrong kind of unit, expected {}", kind));
  return parsed.in_base;
}

}  // namespace

std::optional<double> plain_number(const std::string& text) {
  double number = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (problem != std::errc{} || end != text.data() + text.size() || !std::isfinite(number)) return std::nullopt;
  return number;
}

Wanted read_wanted(const std::string& text, const std::string& kind) {
  const std::string where = "--want " + text;
  const std::size_t equals = text.find('=');
  const std::string key = text.substr(0, equals);
  std::vector<std::string> names;
  for (const auto& [name, figure] : figures()) {
    if (figure.of(kind)) names.push_back(name);
  }
  if (equals == std::string::npos || equals + 1 == text.size())
    throw SpecError(where, fmt::format("expected KEY=VALUE; keys: {}", fmt::join(names, ", ")));
  if (std::find(names.begin(), names.end(), key) == names.end())
    throw SpecError(where, fmt::format("unknown key \"{}\"{}", key, did_you_mean(key, names)));
  std::string value = text.substr(equals + 1);
  const Dimensioned unit = figures().at(key).unit;
  if (unit == Dimensioned::seconds) return {key, quantity(value, {.second = 1}, "a time", where)};
  if (unit == Dimensioned::bytes) return {key, quantity(value, {.byte = 1}, "bytes", where)};
  double scale = 1;
  if (unit == Dimensioned::share && value.back() == '%') {
    value.erase(value.find_last_not_of(" %") + 1);
    scale = 0.01;
  }
  const std::optional<double> number = plain_number(value);
  if (!number || *number <= 0) throw SpecError(where, fmt::format("\"{}\" is not a number above zero", value));
  return {key, *number * scale};
}

std::string wanted_text(const std::string& key, double value) {
  switch (figures().at(key).unit) {
    case Dimensioned::seconds: return format(value * second);
    case Dimensioned::bytes: return fmt::format("{}{}", value < 0 ? "-" : "", format(std::abs(value) * byte));
    case Dimensioned::share: return fmt::format("{:.4g} %", 100 * value);
    case Dimensioned::rate: return fmt::format("{} tok/s", value < 1000 ? fmt::format("{:.4g}", value) : format_count(std::llround(value)));
    case Dimensioned::amount: return fmt::format("{:.6g}", value);
  }
  return "";
}

std::optional<double> figure(const Scenario& scenario, const Outcome& outcome, const std::string& key) {
  if (const Infeasible* why = std::get_if<Infeasible>(&outcome)) {
    if (!why->need || !why->have) return std::nullopt;
    if (key == "memory") return why->need->in(byte);
    if (key == "memory_headroom") return (*why->have - *why->need).in(byte);
    return std::nullopt;
  }
  const Figure& wanted = figures().at(key);
  const auto& answer = std::get<Evaluation>(outcome).answer;
  if (const LayerEvaluation* layer = std::get_if<LayerEvaluation>(&answer)) return wanted.layer(*layer);
  if (const ServeEvaluation* served = std::get_if<ServeEvaluation>(&answer)) return wanted.served(*served);
  return wanted.step(scenario, std::get<TrainEvaluation>(answer));
}

std::string missing_figure(const Cluster& cluster, const std::string& key) {
  if (key == "cost_per_million_tokens") return missing_price(cluster);
  if (key == "kilowatt_hours_per_million_tokens") return missing_power(cluster);
  return "";
}

}  // namespace moeline
