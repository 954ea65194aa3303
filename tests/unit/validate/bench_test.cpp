#include "validate/bench.hpp"

#include <catch2/catch.hpp>
#include <cmath>

#include "routing/sampler.hpp"

using namespace moeline;
using Catch::WithinRel;

namespace {

// Hands out given times, over and over.
class Scripted : public Run {
 public:
  explicit Scripted(std::vector<Sample> samples) : samples_(std::move(samples)) {}
  Check check() override { return {.passed = true}; }
  Sample sample(Caches) override { return samples_[next_++ % samples_.size()]; }

 private:
  std::vector<Sample> samples_;
  std::size_t next_ = 0;
};

template <class Rule, class Time>
std::size_t samples_until_finished(Rule rule, const Time& time) {
  std::size_t n = 0;
  while (!rule.finished() && n < 5000) rule.add(time(n++));
  return n;
}

}  // namespace

TEST_CASE("statistics stand between neighbours in order", "[unit]") {
  const Statistics s = statistics({5, 1, 4, 2, 3});
  CHECK(s.median == 3);
  CHECK(s.minimum == 1);
  CHECK_THAT(s.p10, WithinRel(1.4, 1e-12));  // 0.1 x 4 steps beyond the first
  CHECK_THAT(s.p90, WithinRel(4.6, 1e-12));
  CHECK_THAT(s.noise(), WithinRel(3.2 / 3, 1e-12));
  CHECK(statistics({7}).median == 7);
}

TEST_CASE("sampling ends soon for steady times and when noise no longer changes for wild ones", "[unit]") {
  CHECK(samples_until_finished(SpreadRule(0.001, 0.005), [](std::size_t) { return 1e-3; }) == 2);
  // not before the least time: 50 x 1 ms
  CHECK(samples_until_finished(SpreadRule(0.0495, 0.005), [](std::size_t) { return 1e-3; }) == 50);
  Random random(1);
  const std::size_t noisy =
      samples_until_finished(SpreadRule(0.001, 1e-4), [&](std::size_t) { return 1e-3 * (1 + random.next()); });
  CHECK(noisy >= 64);
  CHECK(noisy < 1000);
  // a time that keeps growing has noise that keeps changing
  CHECK(samples_until_finished(SpreadRule(0.001, 1e-4),
                               [](std::size_t n) { return 1e-3 * std::exp2(static_cast<double>(n) / 50); }) == 5000);
}

TEST_CASE("two modes are enough for the entropy rule, new ones all the time are not", "[unit]") {
  const std::size_t modes =
      samples_until_finished(EntropyRule(), [](std::size_t n) { return n % 2 == 0 ? 1e-3 : 2e-3; });
  CHECK(modes >= 64);
  CHECK(modes < 300);
  CHECK(samples_until_finished(
            EntropyRule(), [](std::size_t n) { return 1e-3 * std::exp2(static_cast<double>(n) / 50); }) > 2 * modes);
}

TEST_CASE("disturbed samples count only where there is little else", "[unit]") {
  const Effort effort{.warm_up = 0, .least_seconds = 0.01, .most_seconds = 0.02, .noise = 0.01, .least_samples = 10};
  Scripted often({{1e-3, 0, false}, {9e-3, 0, true}});
  const Timing half = time_run(often, Caches::cold, effort, false);
  CHECK(half.seconds.median == 1e-3);
  CHECK(half.seconds.n == 10);  // 10 ms in all
  CHECK_THAT(half.disturbed, WithinRel(0.5, 0.1));
  Scripted always({{2e-3, 3e9, true}, {9e-3, 3e9, true}});
  const Timing none = time_run(always, Caches::cold, effort, false);
  CHECK(none.disturbed == 1);
  CHECK(none.seconds.median == 2e-3);  // of the quickest quarter
  CHECK(none.clock_hz == 3e9);
}
