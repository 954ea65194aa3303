#include "cost/timeline.hpp"

#include <catch2/catch.hpp>
#include <vector>

#include "error.hpp"

using namespace moeline;
using Catch::WithinRel;

namespace {

struct Task {
  Lane lane;
  double seconds;
  std::array<int, 3> after{-1, -1, -1};
};

Timeline run(const std::vector<Task>& tasks) {
  Step step;
  std::vector<OpCost> costs;
  for (const Task& task : tasks) {
    Op op;
    op.lane = task.lane;
    op.after = task.after;
    step.push_back(op);
    costs.push_back({.time = task.seconds * second});
  }
  return schedule(step, costs);
}

constexpr Lane kCompute = Lane::compute, kNetwork = Lane::network;

}  // namespace

TEST_CASE("nothing takes no time", "[unit]") { CHECK(run({}).makespan == Seconds{}); }

TEST_CASE("a chain of ops adds up", "[unit]") {
  const Timeline t = run({{kCompute, 1}, {kNetwork, 2, {0, -1, -1}}, {kCompute, 3, {1, -1, -1}}});
  CHECK(t.makespan.in(second) == 6);
  CHECK(t.intervals[1].exposed.in(second) == 2);
}

TEST_CASE("an exchange beside longer compute is hidden", "[unit]") {
  const Timeline t =
      run({{kCompute, 1}, {kNetwork, 2, {0, -1, -1}}, {kCompute, 3, {0, -1, -1}}, {kCompute, 1, {1, 2, -1}}});
  CHECK(t.makespan.in(second) == 5);  // 1 + 3 + 1
  CHECK(t.intervals[1].exposed == Seconds{});
}

TEST_CASE("an exchange beside shorter compute is exposed by the difference", "[unit]") {
  const Timeline t =
      run({{kCompute, 1}, {kNetwork, 5, {0, -1, -1}}, {kCompute, 3, {0, -1, -1}}, {kCompute, 1, {1, 2, -1}}});
  CHECK(t.makespan.in(second) == 7);  // 1 + 5 + 1
  CHECK(t.intervals[1].exposed.in(second) == 2);
}

TEST_CASE("a lane runs one op at a time, in issue order", "[unit]") {
  const Timeline t = run({{kNetwork, 2}, {kNetwork, 2}, {kCompute, 1}});
  CHECK(t.intervals[1].start.in(second) == 2);
  CHECK(t.intervals[2].start == Seconds{});
  CHECK(t.makespan.in(second) == 4);
}

TEST_CASE("an op waits for the last of what it depends on", "[unit]") {
  const Timeline t = run({{kCompute, 1}, {kNetwork, 4}, {kCompute, 1, {0, 1, -1}}});
  CHECK(t.intervals[2].start.in(second) == 4);
  CHECK(t.intervals[1].exposed.in(second) == 3);
}

TEST_CASE("as many costs as ops, or the caller is wrong", "[unit]") {
  CHECK_THROWS_AS(schedule(Step(2), std::vector<OpCost>(1)), InternalError);
}
