// Do the orders of the papers have the bubbles and the memory that the papers say?
//
// F: forward, B: whole backward, W: the part of it that makes weight gradients, I = B - W.
#include <algorithm>
#include <catch2/catch.hpp>
#include <map>
#include <random>
#include <tuple>

#include "plan/training/pipeline.hpp"

using namespace moeline;
using Catch::WithinAbs;
using Catch::WithinRel;

namespace {

struct Lengths {
  double forward = 1, backward = 2, weight = 1, paired = 3;
};

PipelineProblem equal(Schedule schedule, std::int64_t p, std::int64_t m, Lengths t) {
  PipelineProblem problem{.schedule = schedule, .stages = p, .chunks_per_stage = chunks_of(schedule, 1), .micro_batches = m,
                          .chunks = {}, .transfer = {}};
  problem.chunks.assign(static_cast<std::size_t>(p * problem.chunks_per_stage),
                        {t.forward * second, t.backward * second, t.weight * second, t.paired * second});
  return problem;
}

// What the stage that waits longest waits.
double bubble(Schedule schedule, std::int64_t p, std::int64_t m, Lengths t) {
  const PipelineResult result = simulate(equal(schedule, p, m, t));
  return (result.makespan - *std::min_element(result.busy.begin(), result.busy.end())).in(second);
}

PipelineProblem uneven(Schedule schedule, std::int64_t p, std::int64_t m, unsigned seed) {
  PipelineProblem problem = equal(schedule, p, m, {});
  std::mt19937 random(seed);
  std::uniform_real_distribution<double> length(0.5, 1.5);
  for (ChunkTimes& chunk : problem.chunks) {
    const double forward = length(random), backward = 2 * length(random);
    chunk = {forward * second, backward * second, 0.3 * backward * second, 0.9 * (forward + backward) * second};
  }
  problem.transfer = (seed % 3) * 0.1 * second;
  problem.transfer_occupies = seed % 2 == 0;
  return problem;
}

const std::vector<Schedule> kSplit{Schedule::zb_h1, Schedule::zb_h2, Schedule::zb_v, Schedule::dualpipe, Schedule::dualpipe_v};

double real(std::int64_t value) { return static_cast<double>(value); }

}  // namespace

TEST_CASE("ZB-H1 waits (p - 1)(F + I - W), a third of 1F1B where the three are equal", "[property]") {
  for (const std::int64_t p : {2, 4, 8, 16}) {
    for (const Lengths t : {Lengths{}, Lengths{1, 2.2, 0.9}, Lengths{1, 1.9, 0.9}, Lengths{1, 2.4, 1.0}}) {
      const double expected = real(p - 1) * (t.forward + t.backward - 2 * t.weight);
      REQUIRE_THAT(bubble(Schedule::zb_h1, p, 4 * p + 4, t), WithinRel(expected, 1e-9));
    }
    REQUIRE_THAT(3 * bubble(Schedule::zb_h1, p, 4 * p, {}), WithinRel(bubble(Schedule::one_f_one_b, p, 4 * p, {}), 1e-9));
  }
}

TEST_CASE("ZB-H2 waits (p - 1)(F + I - 2W), which is nothing where the three are equal", "[property]") {
  for (const std::int64_t p : {2, 4, 8, 16}) {
    CHECK_THAT(bubble(Schedule::zb_h2, p, 4 * p + 4, {}), WithinAbs(0, 1e-9));
    for (const Lengths t : {Lengths{1, 2.2, 0.9}, Lengths{1, 1.9, 0.9}, Lengths{1, 2.4, 1.0}}) {
      const double expected = real(p - 1) * (t.forward + t.backward - 3 * t.weight);
      REQUIRE_THAT(bubble(Schedule::zb_h2, p, 4 * p + 4, t), WithinRel(expected, 1e-9));
    }
  }
}

TEST_CASE("ZB-V waits for nothing where F, I and W are equal, with the memory of 1F1B", "[property]") {
  for (const std::int64_t p : {2, 4, 8, 16}) {
    for (const std::int64_t m : {2 * p - 1, 4 * p, 5 * p + 3}) {
      CHECK_THAT(bubble(Schedule::zb_v, p, m, {}), WithinAbs(0, 1e-9));
    }
    // In chunks of half a stage: as many as the first stage of 1F1B holds whole ones.
    CHECK(chunks_in_flight({Schedule::zb_v, p, 2, 4 * p}, 0) == 2 * chunks_in_flight({Schedule::one_f_one_b, p, 1, 4 * p}, 0));
  }
}

TEST_CASE("DualPipe waits (p/2 - 1)(F&B + B - 3W), DualPipe-V the same with half as many stages", "[property]") {
  for (const std::int64_t p : {2, 4, 8, 16}) {
    for (const double paired : {3.0, 2.7, 2.55}) {  // F&B: as long as both, or shorter by what hides
      const Lengths t{1, 2, 1, paired};
      const double expected = real(p / 2 - 1) * (t.paired + t.backward - 3 * t.weight);
      CHECK_THAT(bubble(Schedule::dualpipe, p, 4 * p + 4, t), WithinAbs(expected, 1e-9));
      CHECK_THAT(bubble(Schedule::dualpipe_v, p / 2, 4 * p + 4, t), WithinAbs(expected, 1e-9));
    }
  }
}

TEST_CASE("DualPipe's formula holds within one percent of the step where F, I and W differ", "[property]") {
  for (const std::int64_t p : {4, 8, 16}) {
    for (const Lengths t : {Lengths{1, 2.1, 0.95, 3.1}, Lengths{1, 2.2, 0.9, 3.2}, Lengths{1, 1.9, 0.95, 2.9}}) {
      const double expected = real(p / 2 - 1) * (t.paired + t.backward - 3 * t.weight);
      const PipelineResult result = simulate(equal(Schedule::dualpipe, p, 4 * p + 4, t));
      const double step = (result.busy[0]).in(second) + expected;
      CHECK_THAT(result.makespan.in(second), WithinRel(step, 0.01));
    }
  }
}

TEST_CASE("pairs as long as their parts and no weight gradients make a step as long as 1F1B makes it at best", "[property]") {
  // Nothing is gained or lost: busy is the same work under every order.
  for (const Schedule schedule : kSplit) {
    const PipelineResult result = simulate(equal(schedule, 4, 16, {1, 2, 0.8, 3}));
    const double chunks = schedule == Schedule::zb_v || schedule == Schedule::dualpipe_v ? 2 : 1;
    for (const Seconds busy : result.busy) REQUIRE_THAT(busy.in(second), WithinRel(16 * 3 * chunks, 1e-9));
  }
}

TEST_CASE("every stage runs every pass once, weight gradients after their inputs, pairs as counted", "[property]") {
  for (const Schedule schedule : all_schedules()) {
    for (const std::int64_t p : {2, 4, 6}) {
      const std::int64_t v = schedule == Schedule::interleaved ? 3 : chunks_of(schedule, 1), m = 4 * p;
      const OrderShape shape{schedule, p, v, m};
      for (std::int64_t stage = 0; stage < p; ++stage) {
        std::map<std::tuple<int, int>, int> forwards, gradients, weights;
        std::vector<std::int64_t> pairs(static_cast<std::size_t>(v));
        double held = 0, most = 0;
        bool open = false;  // the first half of a pair has gone by
        for (const Pass& pass : order_of(shape, stage).passes) {
          const std::tuple key{pass.chunk, pass.micro_batch};
          if (open) CHECK(pass.kind == PassKind::backward);
          open = pass.paired;
          if (pass.paired) ++pairs[static_cast<std::size_t>(pass.chunk)];
          if (pass.kind == PassKind::forward) CHECK(++forwards[key] == 1);
          if (pass.kind == PassKind::backward || pass.kind == PassKind::input_gradient) CHECK(++gradients[key] == 1);
          if (pass.kind == PassKind::backward || pass.kind == PassKind::weight_gradient) CHECK(++weights[key] == 1);
          CHECK(weights[key] <= gradients[key]);
          CHECK(gradients[key] <= forwards[key]);
          held += pass.kind == PassKind::forward ? 1 : pass.kind == PassKind::input_gradient ? 0 : -1;
          most = std::max(most, held);
        }
        const auto all = static_cast<std::size_t>(runs_both_ways(schedule) ? m : v * m);
        CHECK((forwards.size() == all && gradients.size() == all && weights.size() == all));
        CHECK(most == chunks_in_flight(shape, stage));
        for (std::int64_t own = 0; own < v; ++own) CHECK(pairs[static_cast<std::size_t>(own)] == pairs_of(shape, stage, own));
      }
    }
  }
}

TEST_CASE("counted beats are as long as beats run one by one, however uneven the stages", "[property]") {
  for (const Schedule schedule : all_schedules()) {
    for (unsigned seed = 0; seed < 24; ++seed) {
      const std::int64_t p = 2 + 2 * (seed % 3);
      PipelineProblem problem = uneven(schedule, p, p * (8 + seed), seed);
      if (schedule == Schedule::interleaved) {
        problem.chunks_per_stage = 2;
        problem.chunks = uneven(Schedule::zb_v, p, 8, seed).chunks;
      }
      double first = 1e300, last = 0, longest = 0;
      for (const auto& passes : passes_of(problem)) {
        const double begin = passes.front().start.in(second), end = passes.back().finish.in(second);
        first = std::min(first, begin);
        last = std::max(last, end);
        longest = std::max(longest, end - begin);
      }
      const bool apart = schedule == Schedule::zb_h2 || schedule == Schedule::zb_v;  // stages do not stop together
      INFO(name(schedule) << ", seed " << seed);
      REQUIRE_THAT(simulate(problem).makespan.in(second), WithinRel(apart ? longest : last - first, 1e-9));
    }
  }
}

TEST_CASE("passes of a stage follow each other and wait for those of its neighbours", "[property]") {
  for (const Schedule schedule : kSplit) {
    const PipelineProblem problem = uneven(schedule, 4, 16, 5);  // transfers beside compute
    for (const auto& passes : passes_of(problem)) {
      for (std::size_t i = 1; i < passes.size(); ++i) {
        if (passes[i - 1].pass.paired) {
          CHECK(passes[i].finish == passes[i - 1].finish);
        } else {
          CHECK(passes[i].start >= passes[i - 1].finish * (1 - 1e-12));
        }
      }
    }
  }
}
