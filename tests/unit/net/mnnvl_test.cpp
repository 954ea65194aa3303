#include "net/mnnvl.hpp"

#include <catch2/catch.hpp>

using namespace moeline;
using Catch::WithinRel;

namespace {

MnnvlExchange rows(double tokens, double ranks) {
  return {.tokens = tokens, .row = 14336 * byte, .tensors = 1, .ranks = ranks, .ranks_hit = ranks < 8 ? ranks : 8,
          .link = 900 * gigabyte_per_second};
}

}  // namespace

TEST_CASE("the copy to oneself is free", "[unit]") {
  REQUIRE_THAT(mnnvl_terms(rows(65536, 8), MnnvlFit{}).time.in(second), WithinRel(65536 * 7 * 14336.0 / 900e9, 1e-12));
  REQUIRE_THAT(mnnvl_terms(rows(65536, 2), MnnvlFit{}).time.in(second), WithinRel(65536 * 1 * 14336.0 / 900e9, 1e-12));
  CHECK(mnnvl_terms(rows(65536, 1), MnnvlFit{}).time == Seconds{});
}

TEST_CASE("with few peers the channel of one peer binds", "[unit]") {
  MnnvlFit fit;
  fit.channel_byte = 1 * second / (300.0 * gigabyte);
  fit.row = 10 * nanosecond;
  fit.overlap = 1000;
  const double channel = 1e5 * (10e-9 + 14336 / 300e9);  // all of a token's rows over all peers: one a peer
  REQUIRE_THAT(mnnvl_terms(rows(1e5, 2), fit).time.in(second), WithinRel(channel, 1e-3));
  CHECK(cost(rows(1e5, 2), fit).bound_by == "channel");
  CHECK(cost(rows(1e5, 16), fit).bound_by == "NVLink");  // 7.5 remote rows at 900 against half a row at 300 GB/s
}

TEST_CASE("latency grows with doublings, the link slows with ranks", "[unit]") {
  MnnvlFit fit;
  fit.launch = 10 * microsecond;
  fit.doubling = 2 * microsecond;
  fit.token = 5 * nanosecond;
  fit.decay = 0.02;
  const MnnvlTerms terms = mnnvl_terms(rows(1000, 32), fit);
  REQUIRE_THAT(terms.fixed.in(microsecond), WithinRel(10 + 5 * 2.0, 1e-12));
  REQUIRE_THAT(terms.tokens.in(microsecond), WithinRel(5, 1e-12));
  REQUIRE_THAT(terms.link.in(second), WithinRel(1000 * 8 * 31 / 32.0 * 14336 / 900e9 * 1.08, 1e-12));
}
