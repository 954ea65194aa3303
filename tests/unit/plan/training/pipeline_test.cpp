#include "plan/training/pipeline.hpp"

#include <catch2/catch.hpp>

#include "error.hpp"

using namespace moeline;
using Catch::WithinRel;

namespace {

PipelineProblem problem(std::int64_t stages, std::int64_t micro_batches, std::vector<ChunkTimes> chunks) {
  PipelineProblem p;
  p.stages = stages;
  p.micro_batches = micro_batches;
  p.chunks_per_stage = static_cast<std::int64_t>(chunks.size()) / stages;
  if (p.chunks_per_stage > 1) p.schedule = Schedule::interleaved;
  p.chunks = std::move(chunks);
  return p;
}

ChunkTimes seconds(double forward, double backward) { return {forward * second, backward * second}; }

}  // namespace

TEST_CASE("two stages and two micro-batches take what the grid shows", "[unit]") {
  // stage 0  F0 F1 .  .  B0 B0 .  .  B1 B1        stage 1  .  F0 B0 B0 F1 B1 B1
  const PipelineResult r = simulate(problem(2, 2, {seconds(1, 2), seconds(1, 2)}));
  CHECK(r.makespan.in(second) == 9);  // (2 + 2 - 1) x 3
  CHECK(r.busy[0].in(second) == 6);
  CHECK(r.busy[1].in(second) == 6);
}

TEST_CASE("a slow last stage sets the pace", "[unit]") {
  // Stage 1 starts at 1 and works 4 x (2 + 4) without a gap; stage 0 ends with one backward of 2.
  const PipelineResult r = simulate(problem(2, 4, {seconds(1, 2), seconds(2, 4)}));
  CHECK(r.makespan.in(second) == 1 + 4 * 6 + 2);
}

TEST_CASE("a transfer beside compute delays only the receiver", "[unit]") {
  PipelineProblem p = problem(2, 1, {seconds(1, 2), seconds(1, 2)});
  p.transfer = 0.5 * second;
  p.transfer_occupies = false;
  const PipelineResult r = simulate(p);
  CHECK(r.makespan.in(second) == 1 + 0.5 + 1 + 2 + 0.5 + 2);
  CHECK(r.busy[0].in(second) == 3);
}

TEST_CASE("a transfer that occupies its sender makes it busy", "[unit]") {
  PipelineProblem p = problem(2, 1, {seconds(1, 2), seconds(1, 2)});
  p.transfer = 0.5 * second;
  const PipelineResult r = simulate(p);
  CHECK(r.makespan.in(second) == 1.5 + 1 + 2.5 + 2);
  CHECK(r.busy[0].in(second) == 3.5);  // sends its activation
  CHECK(r.busy[1].in(second) == 3.5);  // sends its gradient
}

TEST_CASE("chunks of one stage hand over without a transfer", "[unit]") {
  PipelineProblem p = problem(1, 1, {seconds(1, 2), seconds(1, 2)});
  p.transfer = 100 * second;
  CHECK(simulate(p).makespan.in(second) == 6);
}

TEST_CASE("the first stage of 1F1B holds as many micro-batches as there are stages, the last one", "[unit]") {
  const PipelineProblem p = problem(4, 16, std::vector<ChunkTimes>(4, seconds(1, 2)));
  CHECK(chunks_in_flight(p.shape(), 0) == 4);
  CHECK(chunks_in_flight(p.shape(), 3) == 1);
}

TEST_CASE("interleaving holds more: its warm-up runs ahead", "[unit]") {
  const PipelineProblem p = problem(4, 16, std::vector<ChunkTimes>(8, seconds(1, 2)));
  CHECK(chunks_in_flight(p.shape(), 0) == 2 * 3 + 4 + 1);  // of half a stage each: 5.5 stages' worth where 1F1B holds 4
  CHECK(chunks_in_flight(p.shape(), 3) == 4 + 1);
}

TEST_CASE("as many chunks as stages and chunks per stage say, or the caller is wrong", "[unit]") {
  PipelineProblem p = problem(2, 1, {seconds(1, 2), seconds(1, 2)});
  p.stages = 3;
  CHECK_THROWS_AS(simulate(p), InternalError);
}
