#include "cost/timeline.hpp"

#include <array>

#include "error.hpp"

namespace moeline {

Timeline schedule(const Step& step, std::span<const OpCost> costs, Timeline timeline) {
  MOELINE_EXPECT(step.size() == costs.size());
  timeline.intervals.resize(step.size());
  timeline.makespan = {};
  std::array<Seconds, 2> lane_free{};
  for (std::size_t i = 0; i < step.size(); ++i) {
    Seconds start = lane_free[static_cast<std::size_t>(step[i].lane)];
    for (const int dependency : step[i].after) {
      if (dependency >= 0) start = max(start, timeline.intervals[static_cast<std::size_t>(dependency)].finish);
    }
    const Seconds finish = start + costs[i].time;
    timeline.intervals[i] = {start, finish, costs[i].time};
    lane_free[static_cast<std::size_t>(step[i].lane)] = finish;
    timeline.makespan = max(timeline.makespan, finish);
  }
  std::size_t first = 0;  // compute before it is over before the network op at hand begins: lanes run in issue order
  for (std::size_t i = 0; i < step.size(); ++i) {
    if (step[i].lane == Lane::compute) continue;
    Interval& network = timeline.intervals[i];
    while (first < step.size() && (step[first].lane != Lane::compute || timeline.intervals[first].finish <= network.start)) ++first;
    for (std::size_t j = first; j < step.size(); ++j) {
      if (step[j].lane != Lane::compute) continue;
      const Interval& compute = timeline.intervals[j];
      if (compute.start >= network.finish) break;
      const Seconds shared = min(network.finish, compute.finish) - max(network.start, compute.start);
      network.exposed -= max(shared, Seconds{});
    }
    network.exposed = max(network.exposed, Seconds{});
  }
  return timeline;
}

}  // namespace moeline
