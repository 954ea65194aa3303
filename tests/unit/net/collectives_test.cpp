#include "net/collectives.hpp"

#include <catch2/catch.hpp>

using namespace moeline;
using Catch::WithinRel;

namespace {

Tier tier(const char* name, std::int64_t span, double gigabytes_per_second, double microseconds) {
  return {.name = name,
          .span = {span, "test"},
          .bandwidth = {gigabytes_per_second * gigabyte_per_second, "test"},
          .latency = {microseconds * microsecond, "test"}};
}

// Nodes of 4, racks of 16, all 64.
Fabric three_tiers() { return {tier("node", 4, 100, 1), tier("rack", 16, 40, 2), tier("spine", 64, 10, 5)}; }

Collective gather(double bytes, std::int64_t size, std::int64_t stride = 1) {
  return {CollectiveKind::all_gather, bytes * byte, {size, stride}};
}

}  // namespace

TEST_CASE("traffic of every tier is what its devices pass on", "[unit]") {
  const NetworkTerms terms = collective_terms(gather(64e9, 64), three_tiers());
  REQUIRE_THAT(terms.per_tier[0].in(byte), WithinRel(64e9 * 63 / 64, 1e-12));
  REQUIRE_THAT(terms.per_tier[1].in(byte), WithinRel(64e9 * 63 / 64 / 4, 1e-12));   // all but one's own, over 4 NICs of a node
  REQUIRE_THAT(terms.per_tier[2].in(byte), WithinRel(64e9 * 63 / 64 / 16, 1e-12));  // 16 uplinks of a rack
  CHECK(terms.tier == 0);                                                           // 0.63 s against 0.394 s and 0.394 s
  REQUIRE_THAT(terms.transfer.in(second), WithinRel(0.63, 1e-12));
}

TEST_CASE("latency counts a doubling of members per tier", "[unit]") {
  const NetworkTerms terms = collective_terms(gather(1, 64), three_tiers());
  CHECK(terms.hops == 6);  // 4 = 2^2, thrice
  REQUIRE_THAT(terms.latency.in(microsecond), WithinRel(2 * 1.0 + 2 * 2.0 + 2 * 5.0, 1e-12));
}

TEST_CASE("a small collective is bound by latency, a large one by the tier that is slowest", "[unit]") {
  const Fabric fabric = three_tiers();
  CHECK(cost(gather(1, 64), fabric, Calibration{}).bound_by == "latency");
  CHECK(cost(gather(64e9, 64), fabric, Calibration{}).bound_by == "node");
  CHECK(cost(gather(64e9, 4, 16), fabric, Calibration{}).bound_by == "spine");
}

TEST_CASE("an all-reduce is a reduce-scatter and an all-gather where no switch reduces", "[unit]") {
  const Fabric fabric = three_tiers();
  const Collective sum{CollectiveKind::all_reduce, 1e9 * byte, {16, 1}},
      scatter{CollectiveKind::reduce_scatter, 1e9 * byte, {16, 1}};
  const NetworkTerms a = collective_terms(sum, fabric), b = collective_terms(scatter, fabric);
  REQUIRE_THAT(a.transfer / b.transfer, WithinRel(2.0, 1e-12));
  REQUIRE_THAT(a.latency / b.latency, WithinRel(2.0, 1e-12));
}

TEST_CASE("two domains sum by a tree, more by rings", "[unit]") {
  const auto outside = [](std::int64_t ranks, std::size_t t) {
    return collective_terms({CollectiveKind::all_reduce, 1e9 * byte, {ranks, 1}}, three_tiers()).per_tier[t].in(byte);
  };
  REQUIRE_THAT(outside(8, 1), WithinRel(1e9 / 4, 1e-12));                // what one node of 4 has, to the other
  REQUIRE_THAT(outside(16, 1), WithinRel(2 * 1e9 * 15 / 16 / 4, 1e-12));  // four nodes: round once to sum, once to tell
  REQUIRE_THAT(outside(32, 2), WithinRel(1e9 / 16, 1e-12));
}

TEST_CASE("a group inside one domain never touches the tiers outside", "[unit]") {
  const NetworkTerms terms = collective_terms(gather(1e9, 4), three_tiers());
  CHECK(terms.per_tier[1] == Bytes{});
  CHECK(terms.per_tier[2] == Bytes{});
  const NetworkTerms exchange = exchange_terms(
      {.tokens = 100, .copy = 100 * byte, .moe = {.experts = 8, .top_k = 2}, .group = {4, 1}}, three_tiers());
  CHECK(exchange.per_tier[1] == Bytes{});
  CHECK(exchange.per_tier[2] == Bytes{});
}

TEST_CASE("a group that strides over domains uses only the tiers outside", "[unit]") {
  const NetworkTerms terms = collective_terms(gather(1e9, 4, 16), three_tiers());
  CHECK(terms.per_tier[0] == Bytes{});
  CHECK(terms.per_tier[1] == Bytes{});
  REQUIRE_THAT(terms.per_tier[2].in(byte), WithinRel(1e9 * 3 / 4, 1e-12));
}

TEST_CASE("an oversubscribed tier takes longer by its factor", "[unit]") {
  Fabric fabric = three_tiers();
  const double before = collective_terms(gather(1e9, 4, 16), fabric).transfer.in(second);
  fabric[2].oversubscription = 4;
  REQUIRE_THAT(collective_terms(gather(1e9, 4, 16), fabric).transfer.in(second), WithinRel(4 * before, 1e-12));
}

TEST_CASE("a fit slows the links and adds its launch", "[unit]") {
  Calibration fit;
  fit.link = {.launch = 7 * microsecond, .link = 0.8, .source = Source::fitted};
  const OpCost neutral = cost(gather(1e9, 4), three_tiers(), Calibration{}),
               fitted = cost(gather(1e9, 4), three_tiers(), fit);
  // 1 GB x 3/4 at 100 GB/s is 7.5 ms; two doublings of 1 us
  REQUIRE_THAT(neutral.time.in(millisecond), WithinRel(7.5 + 0.002, 1e-12));
  REQUIRE_THAT(fitted.time.in(millisecond), WithinRel(7.5 / 0.8 + 0.002 + 0.007, 1e-12));
  CHECK(fitted.source == Source::fitted);
}

TEST_CASE("over three tiers a token is sent once per domain it touches", "[unit]") {
  const MoeFfn all{.experts = 64, .top_k = 64};  // touches everything
  const TokenExchange e{
      .tokens = 10, .copy = 1000 * byte, .moe = all, .group = {64, 1}, .transport = Transport::deepep};
  const NetworkTerms terms = exchange_terms(e, three_tiers());
  REQUIRE_THAT(terms.per_tier[2].in(byte), WithinRel(1e4 * 4 * 3 / 4, 1e-12));  // three other racks
  REQUIRE_THAT(terms.per_tier[1].in(byte),
               WithinRel(1e4 * 16 * 3 / 4, 1e-12));  // 16 nodes, of each rack's 4 one is where it lands
  REQUIRE_THAT(terms.per_tier[0].in(byte), WithinRel(1e4 * 64 * 3 / 4, 1e-12));
}

TEST_CASE("sorted on its way, a token goes to every expert of a rank", "[unit]") {
  const MoeFfn half{.experts = 64, .top_k = 32};
  TokenExchange e{.tokens = 10, .copy = 1000 * byte, .moe = half, .group = {4, 1}, .transport = Transport::hybridep};
  const double ranks = exchange_terms(e, three_tiers()).per_tier[0].in(byte);
  REQUIRE_THAT(ranks, WithinRel(1e4 * 4 * 3 / 4, 1e-4));  // 32 choices of 16 experts a rank: all four ranks
  e.sorted = true;
  REQUIRE_THAT(exchange_terms(e, three_tiers()).per_tier[0].in(byte), WithinRel(1e4 * 32 * 3 / 4, 1e-12));
}
