// Does a schedule waste nothing and lose nothing?
#include <catch2/catch.hpp>
#include <random>

#include "cost/timeline.hpp"

using namespace moeline;
using Catch::WithinRel;

namespace {

struct Graph {
  Step step;
  std::vector<OpCost> costs;
};

Graph random_graph(unsigned seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<double> length(0.1, 3);
  const int ops = 1 + static_cast<int>(random() % 30);
  Graph graph;
  for (int i = 0; i < ops; ++i) {
    Op op;
    op.lane = random() % 3 == 0 ? Lane::network : Lane::compute;
    for (int& dependency : op.after) {
      if (i > 0 && random() % 2 == 0) dependency = static_cast<int>(random() % static_cast<unsigned>(i));
    }
    graph.step.push_back(op);
    graph.costs.push_back({.time = length(random) * second});
  }
  return graph;
}

}  // namespace

TEST_CASE("exposed times of any graph add up to its makespan", "[property]") {
  for (unsigned seed = 0; seed < 300; ++seed) {
    const Graph graph = random_graph(seed);
    const Timeline timeline = schedule(graph.step, graph.costs);
    Seconds exposed;
    for (const Interval& interval : timeline.intervals) exposed += interval.exposed;
    INFO("seed " << seed);
    REQUIRE_THAT(exposed.in(second), WithinRel(timeline.makespan.in(second), 1e-9));
  }
}

TEST_CASE("ops wait for what they depend on, lanes run one op at a time, nothing runs longer than it costs",
          "[property]") {
  for (unsigned seed = 0; seed < 300; ++seed) {
    const Graph graph = random_graph(seed);
    const Timeline timeline = schedule(graph.step, graph.costs);
    Seconds lane_end[2], serial;
    for (std::size_t i = 0; i < graph.step.size(); ++i) {
      const Interval& interval = timeline.intervals[i];
      for (const int dependency : graph.step[i].after) {
        if (dependency >= 0) CHECK(interval.start >= timeline.intervals[static_cast<std::size_t>(dependency)].finish);
      }
      Seconds& end = lane_end[static_cast<std::size_t>(graph.step[i].lane)];
      CHECK(interval.start >= end);
      end = interval.finish;
      CHECK(interval.exposed <= graph.costs[i].time);
      CHECK(interval.exposed >= Seconds{});
      REQUIRE_THAT((interval.finish - interval.start).in(second), WithinRel(graph.costs[i].time.in(second), 1e-9));
      serial += graph.costs[i].time;
    }
    CHECK(timeline.makespan <= serial * (1 + 1e-12));
    CHECK(timeline.makespan >= max(lane_end[0], lane_end[1]));
  }
}

TEST_CASE("a longer op never shortens the schedule", "[property]") {
  for (unsigned seed = 0; seed < 100; ++seed) {
    Graph graph = random_graph(seed);
    const Seconds before = schedule(graph.step, graph.costs).makespan;
    graph.costs[seed % graph.costs.size()].time *= 1.7;
    CHECK(schedule(graph.step, graph.costs).makespan >= before);
  }
}
