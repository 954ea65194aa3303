#include "plan/serving/loop.hpp"

#include <catch2/catch.hpp>

using namespace moeline;
using Catch::WithinRel;

namespace {

// 10 ms an iteration and 1 ms a sequence; 5 ms and 0.1 ms a token for prompts.
LoopPrices prices(bool mixes) {
  return {.decode = 10 * millisecond, .decode_sequence = 1 * millisecond, .prompts = 5 * millisecond,
          .prompt_token = 0.1 * millisecond, .mixes = mixes, .budget = 1000};
}

}  // namespace

TEST_CASE("one user waits for nobody", "[unit]") {
  const LoopTimes t = run_loop({.users = 1, .input = 100, .output = 21, .requests = 5, .most = 10, .away = 100 * millisecond}, prices(true));
  CHECK_THAT(t.ttft_median.in(millisecond), WithinRel(15.0, 1e-9));  // 5 + 100 x 0.1
  CHECK_THAT(t.tpot_median.in(millisecond), WithinRel(11.0, 1e-9));  // 10 + 1
  CHECK_THAT(t.requests_per_second, WithinRel(5 / (5 * (0.015 + 20 * 0.011) + 4 * 0.1), 1e-9));
}

TEST_CASE("a long prompt is computed in chunks of the budget", "[unit]") {
  const LoopTimes t = run_loop({.users = 1, .input = 2500, .output = 2, .requests = 1, .most = 1, .away = {}}, prices(true));
  CHECK_THAT(t.ttft_median.in(millisecond), WithinRel(3 * 5 + 250.0, 1e-9));
}

TEST_CASE("a burst is served in order, and prompts delay those who decode", "[unit]") {
  // Two prompts of 1,000 tokens fill an iteration each: 105 ms, then 105 ms (+ 11 ms where one decodes beside).
  const Loop loop{.users = 2, .input = 1000, .output = 11, .requests = 2, .most = 2, .away = {}};
  const LoopTimes apart = run_loop(loop, prices(false));
  CHECK_THAT(apart.ttft_mean.in(millisecond), WithinRel((105.0 + 210.0) / 2, 1e-9));
  // The first decodes ten times: all but the 105 ms of the second's prompt with both in, at 12 ms.
  CHECK_THAT(apart.tpot_mean.in(millisecond), WithinRel(((105 + 10 * 12.0) / 10 + 12) / 2, 1e-9));
}

TEST_CASE("no more run at once than there is room for", "[unit]") {
  const Loop loop{.users = 2, .input = 100, .output = 11, .requests = 2, .most = 1, .away = {}};
  const LoopTimes t = run_loop(loop, prices(false));
  CHECK_THAT(t.ttft_p99.in(millisecond), WithinRel(15.0, 1e-9));      // lower of two
  CHECK_THAT(t.ttft_mean.in(millisecond), WithinRel((15 + 15 + 110 + 15) / 2.0, 1e-9));
}

TEST_CASE("the same loop gives the same times", "[unit]") {
  const Loop loop{.users = 16, .input = 500, .output = 50, .ratio = 0.8, .requests = 160, .most = 100, .away = 1 * millisecond};
  CHECK(run_loop(loop, prices(true)).ttft_mean == run_loop(loop, prices(true)).ttft_mean);
}
