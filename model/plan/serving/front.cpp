#include "plan/serving/front.hpp"

#include <algorithm>

#include "plan/pareto.hpp"
#include "plan/serving/serve.hpp"

namespace moeline {
namespace {

constexpr std::int64_t kMostUsers = 1 << 14;

std::vector<ServeLayout> layouts(std::int64_t devices, std::int64_t experts) {
  std::vector<ServeLayout> list;
  const auto add = [&](const LayoutRequest& request) {
    const ServeLayout layout = layout_of(request, experts);
    if (devices % layout.devices() == 0 && std::find(list.begin(), list.end(), layout) == list.end()) list.push_back(layout);
  };
  for (std::int64_t tp = 1; tp <= devices; tp *= 2) {
    add({.tp = tp});
    if (experts == 0 || experts % tp != 0) continue;
    add({.tp = tp, .ep = tp});
    add({.tp = tp, .ep = tp, .attention_dp = true});
  }
  return list;
}

}  // namespace

ServeFront serve_front(const Scenario& scenario, const Calibration& calibration) {
  Scenario s = scenario;
  ServeWorkload& w = std::get<ServeWorkload>(s.workload);
  w.mode = ServeMode::aggregated;
  w.request_rate.reset();
  ServeFront front;
  ParetoFront best;
  std::vector<ServePoint> points;
  for (const ServeLayout& layout : layouts(s.cluster.devices, experts_of(s.model))) {
    w.decode.layout = layout;
    for (w.concurrency = 1; w.concurrency <= kMostUsers; w.concurrency *= 2) {
      if (w.concurrency < s.cluster.devices / layout.devices() && w.concurrency > 1) continue;  // some replicas would idle
      ++front.tried;
      const Outcome outcome = evaluate_serve(s, calibration);
      const Evaluation* evaluation = std::get_if<Evaluation>(&outcome);
      if (evaluation == nullptr) {
        ++front.infeasible;
        break;
      }
      const ServeEvaluation& e = std::get<ServeEvaluation>(evaluation->answer);
      if (static_cast<double>(w.concurrency) > e.max_concurrency) break;
      best.add({.point = points.size(), .x = -e.tokens_per_second_per_user, .y = -e.tokens_per_second_per_device, .text = {}});
      points.push_back({layout, w.concurrency, e.tokens_per_second_per_user, e.tokens_per_second_per_device, e.ttft.value, e.tpot.value});
    }
  }
  for (const FrontRow& row : best.rows()) front.points.push_back(points[row.point]);
  std::sort(front.points.begin(), front.points.end(), [](const ServePoint& a, const ServePoint& b) {
    return a.tokens_per_second_per_user > b.tokens_per_second_per_user;
  });
  return front;
}

}  // namespace moeline
