// What hides an exchange, and what hiding costs.
#include <catch2/catch.hpp>

#include "plan/training/pass_times.hpp"
#include "scenarios.hpp"

using namespace moeline;
using Catch::WithinRel;

namespace {

PassTimes pass(double compute, double exchange) {
  return {(compute + exchange) * second, exchange * second, exchange * second, Seconds{}};
}

Trial staged(const std::string& schedule) {
  // So many micro-batches that gradients, of which DualPipe reduces twice as many, count little.
  return small().with({"/parallelism/pp=2", "/parallelism/ep=4", "/parallelism/schedule=" + schedule, "/workload/global_batch=512"});
}

}  // namespace

TEST_CASE("two passes side by side take the longer lane, and compute what the exchange takes of the device", "[property]") {
  // 10 s of compute beside 4 s of exchange on a tenth of the multiprocessors: 10 + 0.1 x 4.
  const Pair bound_by_compute = pair_of(pass(4, 1), pass(6, 3), 0.1);
  CHECK_THAT(bound_by_compute.time.in(second), WithinRel(10.4, 1e-12));
  CHECK_THAT(bound_by_compute.contention.in(second), WithinRel(0.4, 1e-12));
  CHECK_THAT(bound_by_compute.exposed.in(second), Catch::WithinAbs(0, 1e-12));
  // 3.6 s of compute beside 8 s of exchange: slowed to 3.6 / 0.9 = 4 s, and 4 s of exchange are left.
  const Pair bound_by_exchange = pair_of(pass(1.2, 2), pass(2.4, 6), 0.1);
  CHECK_THAT(bound_by_exchange.time.in(second), WithinRel(8, 1e-12));
  CHECK_THAT(bound_by_exchange.contention.in(second), WithinRel(0.4, 1e-12));
  CHECK_THAT(bound_by_exchange.exposed.in(second), WithinRel(4, 1e-12));
}

TEST_CASE("DualPipe hides exchanges that 1F1B shows, and holds the weights twice for it", "[property]") {
  const Trial plain = staged("1f1b"), dual = staged("dualpipe");
  CHECK(dual.exposed("dispatch") + dual.exposed("combine") < 0.5 * (plain.exposed("dispatch") + plain.exposed("combine")));
  CHECK(dual.has("contention"));
  CHECK(dual.seconds() < plain.seconds());
  // Both stages hold the whole model, instead of half of it; states are cut over twice as many ranks.
  CHECK_THAT(dual.memory("weights") / plain.memory("weights"), WithinRel(2, 0.05));
  CHECK_THAT(dual.memory("optimizer") / plain.memory("optimizer"), WithinRel(1, 0.05));
}

TEST_CASE("two halves of a micro-batch hide each other's exchanges", "[property]") {
  const Trial plain = small(), halves = small().with({"/workload/overlap=[\"two_batch\"]"});
  CHECK(halves.exposed("dispatch") + halves.exposed("combine") < 0.5 * (plain.exposed("dispatch") + plain.exposed("combine")));
  CHECK(halves.has("contention"));
  CHECK(halves.seconds() < plain.seconds());
}

TEST_CASE("weight gradients that run later hide rows on their way back", "[property]") {
  const Trial plain = small(), delayed = small().with({"/workload/overlap=[\"delayed_wgrad\"]"});
  CHECK(delayed.exposed("dispatch") < plain.exposed("dispatch"));
  CHECK(delayed.exposed("combine") == plain.exposed("combine"));
  CHECK(delayed.seconds() < plain.seconds());
  REQUIRE_THAT(delayed.exposed("expert GEMM").in(second), WithinRel(plain.exposed("expert GEMM").in(second), 1e-9));
}

TEST_CASE("gradients that are reduced behind the backward slow it down", "[property]") {
  const Trial apart = small(), behind = small().with({"/workload/overlap=[\"dp_reduce\"]"});
  CHECK_FALSE(apart.has("contention"));
  // 16 of 132 multiprocessors for as long as the reduction hides.
  const Seconds hidden = apart.exposed("gradient reduction") - behind.exposed("gradient reduction");
  REQUIRE_THAT(behind.exposed("contention").in(second), WithinRel((16.0 / 132) * hidden.in(second), 1e-9));
}

TEST_CASE("what hides the same exchange twice is refused", "[property]") {
  CHECK_THAT(staged("zb_h1").with({"/workload/overlap=[\"ep_1f1b\"]"}).why_not(), Catch::Contains("combines the passes of 1F1B"));
  CHECK_THROWS_AS(small().with({"/workload/overlap=[\"ep_1f1b\", \"two_batch\"]"}), SpecError);
}
