#include "plan/training/goodput.hpp"

#include <catch2/catch.hpp>

#include "scenarios.hpp"

using namespace moeline;
using Catch::Contains;
using Catch::WithinRel;

TEST_CASE("the best interval is Young's where checkpoints are short", "[unit]") {
  // sqrt(2 x 1 s x 20,000 s) = 200 s; Daly's terms: x (1 + 0.005/3 + ...) - 1 s
  REQUIRE_THAT(best_interval(1 * second, 20'000 * second).in(second), WithinRel(200 * (1 + 0.005 / 3) - 1, 1e-4));
  CHECK(best_interval(100 * second, 40 * second) == 40 * second);  // a checkpoint longer than two MTBF
}

TEST_CASE("no other interval trains more", "[unit]") {
  const Seconds checkpoint = 60 * second, restart = 600 * second, mtbf = 14'400 * second;
  const Seconds best = best_interval(checkpoint, mtbf);
  const double most = effective_share(best, checkpoint, restart, mtbf);
  for (const double factor : {0.5, 0.8, 0.95, 1.05, 1.25, 2.0}) {
    INFO(factor);
    CHECK(effective_share(factor * best, checkpoint, restart, mtbf) < most + 1e-6);
  }
  // To first order checkpoints cost d/t + t/2M and restarts R/M: 60/1254 + 1254/28800 + 600/14400 = 0.133
  REQUIRE_THAT(most, Catch::WithinAbs(1 - 0.133, 0.01));
}

TEST_CASE("a run without failures loses its checkpoints alone", "[unit]") {
  REQUIRE_THAT(effective_share(90 * second, 10 * second, 0 * second, 1e12 * second), WithinRel(0.9, 1e-9));
}

TEST_CASE("a long run says how long it takes", "[unit]") {
  const Trial trial = small().with({R"(/workload/run={"tokens": 1e12, "device_mtbf": "50000 h", "restart": "10 min",
                                       "checkpoint_bandwidth": "1 GB/s"})"});
  const TrainEvaluation& answer = trial.train();
  const Goodput g = goodput(trial.scenario(), answer);
  REQUIRE_THAT(g.between_failures.in(second), WithinRel(50'000.0 * 3600 / 16, 1e-12));
  const auto all = static_cast<double>(parameters(trial.scenario().model).main);
  REQUIRE_THAT(g.checkpoint.in(byte), WithinRel(all * (2 + 12) / 16, 1e-12));
  REQUIRE_THAT(g.run->in(second), WithinRel(1e12 / (g.effective * answer.tokens_per_second), 1e-12));
}
