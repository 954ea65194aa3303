// Balancers side by side, shown. Rendering computes nothing.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "spec/reader.hpp"
#include "units.hpp"

namespace moeline {

struct RouteRow {
  std::string balancer;
  std::vector<double> expert_loads{}, rank_loads{};
  double max_violation = 0, overload = 1;
  std::optional<double> overload_p90{};
  double drop_rate = 0;
  int iterations = 0;
  std::optional<double> dual_gap{};
  std::optional<Seconds> step{}, balancer_time{};  // of the scenario with this balancer; its own part
};

std::string route_text(const std::vector<RouteRow>& rows, const std::string& heading);
Json route_json(const std::vector<RouteRow>& rows, const std::string& heading);

}  // namespace moeline
