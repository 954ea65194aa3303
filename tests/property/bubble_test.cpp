// Does the simulated pipeline agree with the closed forms, where there are any?
#include <algorithm>
#include <catch2/catch.hpp>
#include <random>

#include "plan/training/pipeline.hpp"

using namespace moeline;
using Catch::WithinRel;

namespace {

constexpr double kForward = 1.0, kBackward = 2.0;

// Every chunk takes 1/v of a stage's forward and backward.
PipelineProblem equal(Schedule schedule, std::int64_t p, std::int64_t v, std::int64_t m) {
  PipelineProblem problem;
  problem.schedule = schedule;
  problem.stages = p;
  problem.chunks_per_stage = v;
  problem.micro_batches = m;
  const double share = 1 / static_cast<double>(v);
  problem.chunks.assign(static_cast<std::size_t>(p * v), {share * kForward * second, share * kBackward * second});
  return problem;
}

double makespan(const PipelineProblem& problem) { return simulate(problem).makespan.in(second); }

PipelineProblem uneven(Schedule schedule, std::int64_t p, std::int64_t v, std::int64_t m, unsigned seed) {
  PipelineProblem problem = equal(schedule, p, v, m);
  std::mt19937 random(seed);
  std::uniform_real_distribution<double> length(0.1, 2);
  for (ChunkTimes& chunk : problem.chunks) chunk = {length(random) * second, length(random) * second};
  return problem;
}

}  // namespace

TEST_CASE("equal stages under 1F1B and GPipe take m + p - 1 forwards and backwards", "[property]") {
  for (std::int64_t p = 1; p <= 8; ++p) {
    for (const std::int64_t m : {1, 2, 3, 7, 8, 16, 33}) {
      const double expected = static_cast<double>(m + p - 1) * (kForward + kBackward);
      INFO("p = " << p << ", m = " << m);
      REQUIRE_THAT(makespan(equal(Schedule::one_f_one_b, p, 1, m)), WithinRel(expected, 1e-12));
      REQUIRE_THAT(makespan(equal(Schedule::gpipe, p, 1, m)), WithinRel(expected, 1e-12));
    }
  }
}

TEST_CASE("equal chunks interleaved v ways have 1/v of the bubble and never deadlock", "[property]") {
  for (std::int64_t p = 2; p <= 8; ++p) {
    for (std::int64_t v = 2; v <= 5; ++v) {
      for (const std::int64_t groups : {1, 2, 4}) {
        const double work = static_cast<double>(groups * p) * (kForward + kBackward);
        const double bubble = static_cast<double>(p - 1) * (kForward + kBackward) / static_cast<double>(v);
        INFO("p = " << p << ", v = " << v << ", m = " << groups * p);
        REQUIRE_THAT(makespan(equal(Schedule::interleaved, p, v, groups * p)), WithinRel(work + bubble, 1e-9));
      }
    }
  }
}

TEST_CASE("interleaved chunks of uneven length never deadlock either", "[property]") {
  for (std::int64_t p = 1; p <= 8; ++p) {
    for (std::int64_t v = 2; v <= 5; ++v) {
      for (const std::int64_t groups : {1, 2, 4}) {
        const PipelineProblem problem =
            uneven(Schedule::interleaved, p, v, groups * p, static_cast<unsigned>(p * 10 + v));
        CHECK_NOTHROW(simulate(problem));
      }
    }
  }
}

TEST_CASE("one stage does its work without waiting", "[property]") {
  for (const Schedule schedule : {Schedule::gpipe, Schedule::one_f_one_b}) {
    REQUIRE_THAT(makespan(equal(schedule, 1, 1, 12)), WithinRel(12 * (kForward + kBackward), 1e-12));
  }
}

TEST_CASE("a pipeline takes no less than its busiest stage and one micro-batch through all of them", "[property]") {
  for (unsigned seed = 0; seed < 40; ++seed) {
    const std::int64_t p = 1 + seed % 6, v = seed % 3 == 0 && p > 1 ? 3 : 1, m = p * (1 + seed % 4);
    const Schedule schedule = v > 1 ? Schedule::interleaved : seed % 2 == 0 ? Schedule::gpipe : Schedule::one_f_one_b;
    const PipelineProblem problem = uneven(schedule, p, v, m, seed);
    const PipelineResult result = simulate(problem);
    Seconds once;
    std::vector<Seconds> work(static_cast<std::size_t>(p));
    for (std::size_t c = 0; c < problem.chunks.size(); ++c) {
      const Seconds both = problem.chunks[c].forward + problem.chunks[c].backward;
      once += both;
      work[c % static_cast<std::size_t>(p)] += static_cast<double>(m) * both;
    }
    CHECK(result.makespan * (1 + 1e-12) >= once);
    for (std::size_t stage = 0; stage < work.size(); ++stage) {
      REQUIRE_THAT(result.busy[stage].in(second), WithinRel(work[stage].in(second), 1e-9));
      CHECK(result.makespan * (1 + 1e-12) >= result.busy[stage]);
    }
  }
}

TEST_CASE("a longer chunk, a further micro-batch or a slower transfer never shortens a pipeline", "[property]") {
  for (unsigned seed = 0; seed < 20; ++seed) {
    for (const bool occupies : {true, false}) {
      PipelineProblem problem = uneven(Schedule::one_f_one_b, 4, 1, 8, seed);
      problem.transfer = 0.05 * second;
      problem.transfer_occupies = occupies;
      const double before = makespan(problem);
      PipelineProblem longer = problem;
      longer.chunks[seed % 4].forward *= 1.5;
      CHECK(makespan(longer) >= before);
      PipelineProblem more = problem;
      ++more.micro_batches;
      CHECK(makespan(more) > before);
      PipelineProblem slower = problem;
      slower.transfer *= 2;
      CHECK(makespan(slower) > before);
    }
  }
}

TEST_CASE("a transfer beside compute costs no more than one that occupies the stage", "[property]") {
  for (unsigned seed = 0; seed < 20; ++seed) {
    PipelineProblem problem = uneven(Schedule::interleaved, 4, 2, 8, seed);
    problem.transfer = 0.05 * second;
    const double occupied = makespan(problem);
    problem.transfer_occupies = false;
    CHECK(makespan(problem) <= occupied * (1 + 1e-12));
  }
}

TEST_CASE("equal stages with occupying transfers lengthen every pass that sends", "[property]") {
  // Stage 0 sends m activations, the last m gradients, those between both. With p = 2 each stage is busy
  // m (f + b + t) and the first micro-batch waits f + t + b + t + ... as in the closed form with f + t and b + t.
  for (const std::int64_t m : {2, 5, 16}) {
    PipelineProblem problem = equal(Schedule::one_f_one_b, 2, 1, m);
    problem.transfer = 0.25 * second;
    const PipelineResult result = simulate(problem);
    for (const Seconds busy : result.busy) {
      REQUIRE_THAT(busy.in(second), WithinRel(static_cast<double>(m) * (kForward + kBackward + 0.25), 1e-12));
    }
  }
}

TEST_CASE("chunks in flight follow the warm-up of the schedule and never exceed what there is", "[property]") {
  for (std::int64_t p = 1; p <= 8; ++p) {
    for (const std::int64_t m : {1, 4, 8, 32}) {
      for (std::int64_t stage = 0; stage < p; ++stage) {
        const double left = static_cast<double>(p - stage), all = static_cast<double>(m);
        CHECK(chunks_in_flight(equal(Schedule::one_f_one_b, p, 1, m).shape(), stage) == std::min(all, left));
        CHECK(chunks_in_flight(equal(Schedule::gpipe, p, 1, m).shape(), stage) == all);
      }
    }
    for (std::int64_t v = 2; v <= 4 && p > 1; ++v) {
      for (std::int64_t stage = 0; stage < p; ++stage) {
        const std::int64_t m = 4 * p;
        // 2 (p - s - 1) + (v - 1) p forwards run before the first backward, and one more with it.
        const double expected = static_cast<double>(std::min(m * v, 2 * (p - stage - 1) + (v - 1) * p + 1));
        CHECK(chunks_in_flight(equal(Schedule::interleaved, p, v, m).shape(), stage) == expected);
      }
    }
  }
}

namespace {

// The schedule written out: every pass starts when the one before it on its stage and its input are done.
double written_out(const PipelineProblem& p) {
  const std::int64_t all = p.micro_batches * p.chunks_per_stage, last = p.stages * p.chunks_per_stage - 1;
  const auto place = [&](std::int64_t i) {  // chunk on its stage and micro-batch of the i-th forward
    const std::int64_t group = i / (p.stages * p.chunks_per_stage), within = i % (p.stages * p.chunks_per_stage);
    const bool tail = p.chunks_per_stage == 1;
    return tail ? std::pair<std::int64_t, std::int64_t>{0, i}
                : std::pair{within / p.stages, group * p.stages + within % p.stages};
  };
  std::vector<double> done(static_cast<std::size_t>(2 * (last + 1) * p.micro_batches), 0);
  const auto at = [&](bool backward, std::int64_t chunk, std::int64_t m) -> double& {
    return done[static_cast<std::size_t>(((backward ? last + 1 : 0) + chunk) * p.micro_batches + m)];
  };
  const double send = p.stages > 1 ? p.transfer.in(second) : 0;
  double end = 0;
  for (bool moved = true; moved;) {  // longest paths by relaxation
    moved = false;
    for (std::int64_t s = 0; s < p.stages; ++s) {
      const std::int64_t lead = p.chunks_per_stage == 1 ? p.stages - s - 1 : 2 * (p.stages - s - 1) + (p.chunks_per_stage - 1) * p.stages;
      double clock = 0;
      const auto run = [&](bool backward, std::int64_t i) {
        const auto [own, m] = place(i);
        const std::int64_t chunk = (backward ? p.chunks_per_stage - 1 - own : own) * p.stages + s;
        const std::int64_t from = backward ? chunk + 1 : chunk - 1;
        const ChunkTimes& times = p.chunks[static_cast<std::size_t>(chunk)];
        const bool sends = backward ? chunk > 0 : chunk < last;
        if (from >= 0 && from <= last) clock = std::max(clock, at(backward, from, m) + (p.transfer_occupies ? 0 : send));
        clock += (backward ? times.backward : times.forward).in(second) + (p.transfer_occupies && sends ? send : 0);
        moved |= at(backward, chunk, m) != clock;
        at(backward, chunk, m) = clock;
      };
      for (std::int64_t i = 0; i < std::min(lead, all); ++i) run(false, i);
      for (std::int64_t i = lead; i < all; ++i) {
        run(false, i);
        run(true, i - lead);
      }
      for (std::int64_t i = std::max<std::int64_t>(0, all - lead); i < all; ++i) run(true, i);
      end = std::max(end, clock);
    }
  }
  return end;
}

}  // namespace

TEST_CASE("many micro-batches cost what the schedule written out costs, however uneven the stages", "[property]") {
  for (unsigned seed = 0; seed < 60; ++seed) {
    const std::int64_t p = 1 + seed % 5, v = p > 1 && seed % 2 == 1 ? 2 + seed % 2 : 1, m = p * (5 + seed % 13);
    PipelineProblem problem = seed % 3 == 0 ? equal(v > 1 ? Schedule::interleaved : Schedule::one_f_one_b, p, v, m)
                                            : uneven(v > 1 ? Schedule::interleaved : Schedule::one_f_one_b, p, v, m, seed);
    problem.transfer = (seed % 4) * 0.1 * second;
    problem.transfer_occupies = seed % 8 < 4;
    INFO("seed " << seed << ", p = " << p << ", v = " << v << ", m = " << m);
    REQUIRE_THAT(makespan(problem), WithinRel(written_out(problem), 1e-10));
  }
}
