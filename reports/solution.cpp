#include "reports/solution.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "spec/json.hpp"

namespace moeline {
namespace {

Json sample_json(const Sample& sample, const VariedInput& input) {
  return Json{{"input", input.text(sample.input)}, {"answer", sample.answer}};
}

// From the present value on: "4.8 TB/s -> 6.2 TB/s (x 1.29)".
std::string move_text(double from, double to, const VariedInput& input) {
  const std::string factor = from != 0 ? fmt::format("   (x {:.4g})", to / from) : "";
  return fmt::format("{} -> {}{}", input.text(from), input.text(to), factor);
}

}  // namespace

std::string solution_text(const Root& root, const VariedInput& input, const Wanted& wanted) {
  std::string out = fmt::format("{} = {} asked for\n", wanted.key, wanted_text(wanted.key, wanted.value));
  out += fmt::format("  {}   {}\n", input.pointer, move_text(input.value, root.found->input, input));
  out += fmt::format("  {}   {}\n", wanted.key, wanted_text(wanted.key, root.found->answer));
  if (input.integer) {
    for (const auto& side : {root.below, root.above}) {
      if (side)
        out += fmt::format("    at {:<12} {}\n", input.text(side->input), wanted_text(wanted.key, side->answer));
    }
  }
  if (!root.monotone || root.crossings > 1)
    out +=
        fmt::format("  ! not monotone: {} crossings seen, this one is nearest to the present value\n", root.crossings);
  return out + fmt::format("  --set {}='{}'\n", input.pointer, input.text(root.found->input));
}

Json solution_json(const Root& root, const VariedInput& input, const Wanted& wanted) {
  Json out{{"kind", "solve"},        {"feasible", root.found.has_value()},
           {"vary", input.pointer},  {"want", wanted.key},
           {"wanted", wanted.value}, {"present", input.text(input.value)}};
  if (root.found) {
    out["found"] = sample_json(*root.found, input);
    out["found"]["value"] = root.found->input;
    out["found"]["unit"] = input.unit;
    out["set"] = fmt::format("{}={}", input.pointer, input.text(root.found->input));
  } else {
    out["reason"] = no_solution(root, input, wanted);
  }
  if (root.below) out["below"] = sample_json(*root.below, input);
  if (root.above) out["above"] = sample_json(*root.above, input);
  out["monotone"] = root.monotone;
  out["crossings"] = root.crossings;
  return out;
}

Json solution_page(const Root& root, const VariedInput& input, const Wanted& wanted, const Scenario& scenario) {
  Json out = solution_json(root, input, wanted);
  out["samples"] = Json::array();
  for (const Sample& sample : root.samples) {
    Json json = sample_json(sample, input);
    json["value"] = sample.input;
    out["samples"].push_back(json);
  }
  out["scenario"] = scenario.resolved;
  return out;
}

std::string no_solution(const Root& root, const VariedInput& input, const Wanted& wanted) {
  const auto text = [&](double value) { return wanted_text(wanted.key, value); };
  if (root.jumps) {
    return fmt::format("{} jumps across {} at {} = {}: from {} to {}", wanted.key, text(wanted.value), input.pointer,
                       input.text(root.below->input), text(root.below->answer), text(root.above->answer));
  }
  if (root.samples.empty()) return fmt::format("no value of {} that was tried can run", input.pointer);
  const auto [low, high] = std::minmax_element(root.samples.begin(), root.samples.end(),
                                               [](const Sample& a, const Sample& b) { return a.answer < b.answer; });
  return fmt::format("{} stays within {} .. {} for {} from {} to {}; {} is out of reach", wanted.key, text(low->answer),
                     text(high->answer), input.pointer, input.text(root.samples.front().input),
                     input.text(root.samples.back().input), text(wanted.value));
}

}  // namespace moeline
