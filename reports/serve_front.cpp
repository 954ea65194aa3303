#include "reports/serve_front.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "spec/json.hpp"
#include "units_text.hpp"

namespace moeline {
namespace {

constexpr std::size_t kWide = 60, kHigh = 14;

// Both axes as logarithms: a front spans decades.
std::string picture(const ServeFront& front) {
  double left = 1e300, right = 0, low = 1e300, high = 0;
  for (const ServePoint& p : front.points) {
    left = std::min(left, p.tokens_per_second_per_user);
    right = std::max(right, p.tokens_per_second_per_user);
    low = std::min(low, p.tokens_per_second_per_device);
    high = std::max(high, p.tokens_per_second_per_device);
  }
  std::vector<std::string> lines(kHigh, std::string(kWide, ' '));
  const auto place = [](double value, double from, double to, std::size_t cells) {
    const double share = to > from ? std::log(value / from) / std::log(to / from) : 0;
    return static_cast<std::size_t>(std::lround(share * static_cast<double>(cells - 1)));
  };
  for (const ServePoint& p : front.points) {
    lines[kHigh - 1 - place(p.tokens_per_second_per_device, low, high, kHigh)][place(p.tokens_per_second_per_user, left, right, kWide)] = '*';
  }
  std::string out = "  tok/s/GPU\n";
  for (std::size_t i = 0; i < kHigh; ++i) {
    const std::string label = i == 0 ? fmt::format("{:.4g}", high) : i + 1 == kHigh ? fmt::format("{:.4g}", low) : "";
    out += fmt::format("  {:>9} |{}\n", label, lines[i]);
  }
  return out + fmt::format("  {:>9} +{}\n  {:>9}  {:<{}}{:>10}  tok/s/user\n\n", "", std::string(kWide, '-'), "",
                           fmt::format("{:.4g}", left), kWide - 10, fmt::format("{:.4g}", right));
}

std::string separated(const ServeFront& front, std::string_view before, std::string_view between, std::string_view after) {
  std::string out;
  for (const ServePoint& p : front.points) {
    const std::vector<std::string> cells{std::to_string(p.layout.tp), std::to_string(p.layout.dp), std::to_string(p.layout.ep),
                                         std::to_string(p.layout.etp), std::to_string(p.concurrency),
                                         fmt::format("{:.5g}", p.tokens_per_second_per_user), fmt::format("{:.5g}", p.tokens_per_second_per_device),
                                         fmt::format("{:.5g}", p.ttft.in(second)), fmt::format("{:.5g}", p.tpot.in(second))};
    out += fmt::format("{}{}{}\n", before, fmt::join(cells, between), after);
  }
  return out;
}

Json json(const ServeFront& front, const Scenario& scenario) {
  Json list = Json::array();
  for (const ServePoint& p : front.points) {
    list.push_back(Json{{"layout", to_json(p.layout)}, {"concurrency", p.concurrency},
                        {"tokens_per_second_per_user", p.tokens_per_second_per_user},
                        {"tokens_per_second_per_device", p.tokens_per_second_per_device},
                        {"ttft_seconds", p.ttft.in(second)}, {"tpot_seconds", p.tpot.in(second)}});
  }
  return Json{{"kind", "serve_front"}, {"points", list}, {"tried", front.tried}, {"infeasible", front.infeasible}, {"scenario", scenario.resolved}};
}

}  // namespace

std::string render(const ServeFront& front, const Scenario& scenario, Format format) {
  const std::string names = "tp,dp,ep,etp,concurrency,tokens_per_second_per_user,tokens_per_second_per_device,ttft_seconds,tpot_seconds\n";
  switch (format) {
    case Format::json: return json(front, scenario).dump(2) + "\n";
    case Format::csv: return names + separated(front, "", ",", "");
    case Format::markdown:
      return "| tp | dp | ep | etp | users | tok/s/user | tok/s/GPU | TTFT s | TPOT s |\n| --- | --- | --- | --- | ---: | ---: | ---: | ---: | ---: |\n" +
             separated(front, "| ", " | ", " |");
    case Format::table: break;
  }
  std::string out = front.points.empty() ? "" : picture(front);
  out += fmt::format("  {:>3} {:>3} {:>3} {:>3} {:>7} {:>11} {:>10} {:>10} {:>10}\n", "tp", "dp", "ep", "etp", "users", "tok/s/user", "tok/s/GPU", "TTFT", "TPOT");
  for (const ServePoint& p : front.points) {
    out += fmt::format("  {:>3} {:>3} {:>3} {:>3} {:>7} {:>11.1f} {:>10.1f} {:>10} {:>10}\n", p.layout.tp, p.layout.dp, p.layout.ep, p.layout.etp,
                       format_count(p.concurrency), p.tokens_per_second_per_user, p.tokens_per_second_per_device,
                       moeline::format(p.ttft), moeline::format(p.tpot));
  }
  return out + fmt::format("  {} deployments tried, {} do not run\n", front.tried, front.infeasible);
}

}  // namespace moeline
