// Which deployments give most tokens a device at each speed a user sees? Cuts and numbers of users, none beaten in both.
//
//   x  tokens per second of one user      y  tokens per second of one device
// Cuts: tp of 1, 2, 4, ... up to the scenario's devices, experts cut with attention (etp), spread (ep), or spread under
// data-parallel attention; users 1, 2, 4, ... until no more fit. The scenario's own pools and rates are not used.
#pragma once

#include <vector>

#include "plan/evaluate.hpp"

namespace moeline {

struct ServePoint {
  ServeLayout layout;
  std::int64_t concurrency = 0;  // over all replicas
  double tokens_per_second_per_user = 0, tokens_per_second_per_device = 0;
  Seconds ttft, tpot;
};

struct ServeFront {
  std::vector<ServePoint> points;  // the quickest for a user first
  std::size_t tried = 0, infeasible = 0;
};
ServeFront serve_front(const Scenario& scenario, const Calibration& calibration);

}  // namespace moeline
