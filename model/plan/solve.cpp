#include "plan/solve.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <numeric>

#include "spec/json.hpp"

namespace moeline {
namespace {

constexpr int kDoublings = 12;    // how far the search goes either way when it is not told
constexpr int kMostFailures = 3;  // in a row, of inputs that cannot run, before a direction is given up
constexpr int kInner = 8;         // samples inside a bracket, for the check that it is monotone
constexpr int kGrid = 24;         // samples between --from and --to
constexpr double kTolerance = 1e-9, kJump = 1e-7;

class RootSearch {
 public:
  explicit RootSearch(const RootProblem& problem) : p_(problem) {}

  Root run() {
    if (p_.from || p_.to) {
      sample_between(p_.from.value_or(p_.start), p_.to.value_or(p_.start), kGrid);
    } else {
      expand();
    }
    if (const std::optional<std::size_t> i = nearest_crossing()) {
      const double low = known_[*i].input, high = known_[*i + 1].input;
      sample_between(low, high, kInner);
    }
    describe();
    if (const std::optional<std::size_t> i = nearest_crossing()) {
      if (p_.integer) {
        halve(known_[*i], known_[*i + 1]);
      } else {
        close_in(known_[*i], known_[*i + 1]);
      }
    }
    root_.samples = known_;
    return std::move(root_);
  }

 private:
  // Asks once for each input; whole ones are rounded first.
  std::optional<double> ask(double input) {
    if (p_.integer) input = std::round(input);
    const auto at =
        std::lower_bound(known_.begin(), known_.end(), input, [](const Sample& s, double x) { return s.input < x; });
    if (at != known_.end() && at->input == input) return at->answer;
    const std::optional<double> answer = p_.answer(input);
    if (answer) known_.insert(at, {input, *answer});
    return answer;
  }

  void expand() {
    ask(p_.start);
    int up_failed = 0, down_failed = 0;
    for (int k = 1; k <= kDoublings && !nearest_crossing(); ++k) {
      const double factor = std::pow(2.0, k);
      if (up_failed < kMostFailures) step(p_.start * factor / 2, p_.start * factor, up_failed);
      if (p_.integer && p_.start < factor) continue;
      if (down_failed < kMostFailures) step(2 * p_.start / factor, p_.start / factor, down_failed);
    }
  }

  // What cannot run ends somewhere behind what can, and the answer may lie before that end.
  void step(double from, double to, int& failed) {
    if (ask(to)) {
      failed = 0;
    } else if (++failed == 1) {
      for (int i = 0; i < kInner && !nearest_crossing(); ++i) {
        const double middle = 0.5 * (from + to);
        (ask(middle) ? from : to) = middle;
      }
    }
  }

  void sample_between(double low, double high, int count) {
    for (int i = 0; i <= count; ++i) {
      const double share = static_cast<double>(i) / count;
      ask(low > 0 && high > 0 ? std::exp((1 - share) * std::log(low) + share * std::log(high))
                              : low + share * (high - low));
      if (i == 0) ask(low);
    }
    ask(high);
  }

  bool crosses(const Sample& a, const Sample& b) const { return (a.answer - p_.wanted) * (b.answer - p_.wanted) <= 0; }

  std::optional<std::size_t> nearest_crossing() const {
    std::optional<std::size_t> best;
    double distance = 0;
    for (std::size_t i = 0; i + 1 < known_.size(); ++i) {
      if (!crosses(known_[i], known_[i + 1])) continue;
      const double away = std::abs(0.5 * (known_[i].input + known_[i + 1].input) - p_.start);
      if (!best || away < distance) {
        best = i;
        distance = away;
      }
    }
    return best;
  }

  void describe() {
    double rises = 0, falls = 0;
    for (std::size_t i = 0; i + 1 < known_.size(); ++i) {
      const double change = known_[i + 1].answer - known_[i].answer;
      const double rounding = 1e-9 * std::abs(known_[i].answer);
      rises += change > rounding;
      falls += change < -rounding;
      // A sample that meets the wish exactly ends one crossing and begins no other.
      root_.crossings += crosses(known_[i], known_[i + 1]) && known_[i].answer != p_.wanted;
    }
    if (!known_.empty() && known_.front().answer == p_.wanted) ++root_.crossings;
    root_.monotone = rises == 0 || falls == 0;
  }

  Sample nearer(const Sample& a, const Sample& b) const {
    return std::abs(b.answer - p_.wanted) < std::abs(a.answer - p_.wanted) ? b : a;
  }

  void close_in(Sample a, Sample b) {
    const double scale = std::max(std::abs(p_.wanted), 1e-6 * std::abs(b.answer - a.answer));
    double fa = a.answer - p_.wanted, fb = b.answer - p_.wanted;
    for (int i = 0; i < 200 && std::abs(b.input - a.input) > 1e-15 * std::abs(b.input); ++i) {
      if (std::min(std::abs(a.answer - p_.wanted), std::abs(b.answer - p_.wanted)) <= kTolerance * scale) break;
      // Every third step halves, so that a jump or a flat side cannot hold the search up.
      const bool secant = i % 3 != 2 && fa != fb;
      double x = secant ? (a.input * fb - b.input * fa) / (fb - fa) : 0.5 * (a.input + b.input);
      if (!(x > a.input && x < b.input)) x = 0.5 * (a.input + b.input);
      const std::optional<double> answer = p_.answer(x);
      if (!answer) break;
      const double f = *answer - p_.wanted;
      if (f * fa > 0) {
        a = {x, *answer};
        fa = f;
        fb *= 0.5;
      } else {
        b = {x, *answer};
        fb = f;
        fa *= 0.5;
      }
    }
    const Sample best = nearer(a, b);
    root_.jumps = std::abs(best.answer - p_.wanted) > kJump * scale;
    if (root_.jumps) {
      root_.below = a;
      root_.above = b;
    } else {
      root_.found = best;
    }
  }

  // A whole number between that can run: multiples of what both ends have in common first, as batches must be.
  std::optional<Sample> between(const Sample& a, const Sample& b) {
    const auto low = static_cast<std::int64_t>(a.input), high = static_cast<std::int64_t>(b.input);
    for (std::int64_t unit = std::gcd(low, high);;) {
      const std::int64_t x = (low / unit + high / unit) / 2 * unit;
      if (x > low && x < high) {
        if (const std::optional<double> answer = ask(static_cast<double>(x)))
          return Sample{static_cast<double>(x), *answer};
      }
      if (unit == 1) return std::nullopt;
      std::int64_t divisor = 2;
      while (unit % divisor != 0) divisor = divisor * divisor > unit ? unit : divisor + 1;
      unit /= divisor;
    }
  }

  void halve(Sample a, Sample b) {
    while (const std::optional<Sample> x = between(a, b)) (crosses(a, *x) ? b : a) = *x;
    root_.below = a;
    root_.above = b;
    root_.found = nearer(a, b);
  }

  const RootProblem& p_;
  std::vector<Sample> known_;
  Root root_;
};

// The number at a pointer; a fact stands for its value. nullptr if there is nothing.
const Json* at_pointer(const Json& document, const std::vector<std::string>& parts, std::size_t first) {
  const Json* at = &document;
  for (std::size_t i = first; i < parts.size(); ++i) {
    if (at->is_array()) {
      std::size_t index = at->size();
      std::from_chars(parts[i].data(), parts[i].data() + parts[i].size(), index);
      if (index >= at->size()) return nullptr;
      at = &(*at)[index];
    } else if (at->is_object() && at->contains(parts[i])) {
      at = &(*at)[parts[i]];
    } else {
      return nullptr;
    }
  }
  return at->is_object() && at->contains("value") ? &(*at)["value"] : at;
}

std::vector<std::string> parts_of(const std::string& pointer) {
  std::vector<std::string> parts;
  for (std::size_t at = pointer[0] == '/' ? 1 : 0; at <= pointer.size();) {
    const std::size_t slash = std::min(pointer.find('/', at), pointer.size());
    parts.push_back(pointer.substr(at, slash - at));
    at = slash + 1;
  }
  if (parts[0] == "cluster") parts[0] = "hardware";
  return parts;
}

std::string unit_of(const std::string& text) {
  double number = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), number);
  const std::size_t at = text.find_first_not_of(' ', static_cast<std::size_t>(end - text.data()));
  return problem != std::errc{} || at == std::string::npos ? "" : text.substr(at);
}

}  // namespace

Root root_of(const RootProblem& problem) { return RootSearch(problem).run(); }

std::string VariedInput::text(double v) const {
  if (integer) return std::to_string(std::llround(v));
  return unit.empty() ? fmt::format("{:.12g}", v) : fmt::format("{:.12g} {}", v, unit);
}

double VariedInput::read(const std::string& given) const {
  if (unit.empty()) {
    const std::optional<double> number = plain_number(given);
    if (!number) throw SpecError(pointer, fmt::format("\"{}\" is not a number", given));
    return *number;
  }
  const ParsedQuantity parsed = parse_quantity(given), one = parse_quantity(fmt::format("1 {}", unit));
  if (!parsed.problem.empty()) throw SpecError(pointer, parsed.problem);
  if (parsed.dimension != one.dimension)
    throw SpecError(pointer, fmt::format("\"{}\": wrong kind of unit, expected {}", given, units_of(one.dimension)));
  return parsed.in_base / one.in_base;
}

VariedInput varied_input(const Json& scenario, const std::string& origin, const std::string& pointer) {
  if (pointer.empty()) throw SpecError("--vary", "expected a pointer, such as /hardware/device/hbm_bandwidth");
  const std::vector<std::string> parts = parts_of(pointer);
  const Json* found = nullptr;
  Json document;
  if (parts[0] == "hardware" && parts.size() > 1 && scenario.contains("hardware")) {
    document = find_hardware(scenario["hardware"], origin + "#/hardware").json;
    found = at_pointer(document, parts, 1);
  } else if (parts[0] == "model" && parts.size() > 1 && scenario.contains("model")) {
    document = find_model(scenario["model"], origin + "#/model").json;
    found = at_pointer(document, parts, 1);
  } else {
    document = read_scenario(scenario, origin).resolved;
    found = at_pointer(document, parts, 0);
  }
  if (found == nullptr) throw SpecError("--vary " + pointer, "the scenario has no such field");
  VariedInput input{.pointer = fmt::format("/{}", fmt::join(parts, "/"))};
  if (found->is_number()) {
    input.value = found->get<double>();
    input.integer = found->is_number_integer();
  } else if (found->is_string() && parse_quantity(found->get<std::string>()).problem.empty()) {
    input.unit = unit_of(found->get<std::string>());
    input.value = input.read(found->get<std::string>());
  } else {
    throw SpecError("--vary " + pointer, "is not a number");
  }
  return input;
}

RootProblem root_problem(const Json& scenario, const std::string& origin, const Calibration& calibration,
                         const VariedInput& input, const Wanted& wanted) {
  if (const std::string why = missing_figure(read_scenario(scenario, origin).cluster, wanted.key); !why.empty())
    throw SpecError("--want " + wanted.key, why);
  const auto answer = [=](double value) -> std::optional<double> {
    try {
      Json moved = scenario;
      const std::string text =
          input.integer || input.unit.empty() ? input.text(value) : fmt::format("{:.17g} {}", value, input.unit);
      set_field(moved, input.pointer + "=" + text, origin);
      const Scenario varied = read_scenario(moved, origin);
      return figure(varied, evaluate(varied, calibration), wanted.key);
    } catch (const SpecError&) {
      return std::nullopt;  // out of the range that a scenario may have
    }
  };
  return {.answer = answer, .start = input.value, .wanted = wanted.value, .integer = input.integer};
}

}  // namespace moeline
