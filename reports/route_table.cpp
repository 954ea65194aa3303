#include "reports/route_table.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "spec/json.hpp"
#include "spec/reader.hpp"
#include "units_text.hpp"

namespace moeline {
namespace {

constexpr std::size_t kColumns = 32;

// Hottest to coldest, one character each; more ranks than columns share one, by their first.
std::string chart(std::vector<double> loads) {
  static constexpr std::array<const char*, 9> kEighths{" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
  std::sort(loads.begin(), loads.end(), std::greater<>());
  if (loads.empty() || !(loads[0] > 0)) return "";
  std::string out;
  const std::size_t columns = std::min(kColumns, loads.size());
  for (std::size_t c = 0; c < columns; ++c)
    out += kEighths[static_cast<std::size_t>(8 * loads[c * loads.size() / columns] / loads[0] + 0.5)];
  return out;
}

}  // namespace

std::string route_text(const std::vector<RouteRow>& rows, const std::string& heading) {
  const auto any = [&](auto has) { return std::any_of(rows.begin(), rows.end(), has); };
  const bool steps = any([](const RouteRow& r) { return r.step.has_value(); });
  const bool layers = any([](const RouteRow& r) { return r.overload_p90.has_value(); });
  std::string out =
      fmt::format("{}\n  balancer   {:>10} {:>10}{} {:>9} {:>6} {:>9}{}   ranks, hottest first\n", heading, "MaxVio",
                  "gamma", layers ? "     p90" : "", "dropped", "steps", "dual gap", steps ? "       step   balancer" : "");
  for (const RouteRow& r : rows) {
    const std::string p90 = layers ? fmt::format(" {:>7.3f}", r.overload_p90.value_or(r.overload)) : "";
    const auto time = [](const std::optional<Seconds>& t) { return t ? format(*t) : "-"; };
    const std::string step = steps ? fmt::format(" {:>10} {:>10}", time(r.step), time(r.balancer_time)) : "";
    out += fmt::format("  {:<10} {:>10.4f} {:>10.4f}{} {:>7.2f} % {:>6} {:>9}{}   {}\n", r.balancer, r.max_violation,
                       r.overload, p90, 100 * r.drop_rate, r.iterations > 0 ? std::to_string(r.iterations) : "-",
                       r.dual_gap ? fmt::format("{:.2g}", *r.dual_gap) : "-", step, chart(r.rank_loads));
  }
  return out;
}

Json route_json(const std::vector<RouteRow>& rows, const std::string& heading) {
  Json out{{"kind", "route"}, {"input", heading}, {"balancers", Json::array()}};
  for (const RouteRow& r : rows) {
    Json row{{"balancer", r.balancer},    {"max_violation", r.max_violation}, {"rank_overload", r.overload},
             {"drop_rate", r.drop_rate},  {"iterations", r.iterations},       {"expert_loads", r.expert_loads},
             {"rank_loads", r.rank_loads}};
    if (r.overload_p90) row["rank_overload_p90"] = *r.overload_p90;
    if (r.dual_gap) row["dual_gap"] = *r.dual_gap;
    if (r.step) row["step_time_seconds"] = r.step->in(second);
    if (r.balancer_time) row["balancer_time_seconds"] = r.balancer_time->in(second);
    out["balancers"].push_back(std::move(row));
  }
  return out;
}

}  // namespace moeline
