#include "net/deepep.hpp"

#include <catch2/catch.hpp>
#include <cmath>

using namespace moeline;
using Catch::WithinRel;

namespace {

constexpr SecondsPerByte kTenPerSm = 1 * second / (10.0 * gigabyte);

DeepEpNormal one_node(double tokens) {
  return {.tokens = tokens, .row = 7000 * byte, .ranks = 8, .ranks_hit = 5, .nodes = 1, .nodes_hit = 1,
          .multiprocessors = 20, .link = 450 * gigabyte_per_second, .nic = 50 * gigabyte_per_second};
}

}  // namespace

TEST_CASE("rows carry scales outwards and BF16 back", "[unit]") {
  CHECK(deepep_row(7168, DeepEpDirection::dispatch) == (7168 + 7168 / 128 * 4) * byte);
  CHECK(deepep_row(7168, DeepEpDirection::combine) == 14336 * byte);
  CHECK(deepep_low_latency_row(7168, DeepEpDirection::dispatch) == (7168 + 224 + 16) * byte);
  CHECK(deepep_low_latency_row(7168, DeepEpDirection::combine) == 14336 * byte);
}

TEST_CASE("without a fit one node is its link, own rank left out", "[unit]") {
  const DeepEpTerms terms = deepep_terms(one_node(4096), DeepEpFit{});
  REQUIRE_THAT(terms.link.in(second), WithinRel(4096 * 5 * 7000.0 * 7 / 8 / 450e9, 1e-12));
  CHECK(terms.time == terms.link);
  CHECK(terms.wire == Seconds{});
}

TEST_CASE("few multiprocessors bind before the link does", "[unit]") {
  DeepEpFit fit;
  fit.token = 1 * microsecond;
  fit.copy = 0.1 * microsecond;
  fit.row_byte = kTenPerSm;
  fit.copy_byte = kTenPerSm;
  fit.node_byte = kTenPerSm;  // nothing on one node
  const DeepEpTerms terms = deepep_terms(one_node(4000), fit);
  // 200 tokens an SM, each 1 + 0.7 + 5 (0.1 + 0.7) = 5.7 us.
  REQUIRE_THAT(terms.multiprocessors.in(microsecond), WithinRel(200 * 5.7, 1e-12));
  CHECK(cost(one_node(4000), fit).bound_by == "multiprocessors");
}

TEST_CASE("the pipeline fills once", "[unit]") {
  DeepEpFit fit;
  fit.fill = 1 * second / (35.0 * gigabyte);
  fit.fill_tokens = 100;
  // 7,000 B: 0.2 us.
  REQUIRE_THAT(deepep_terms(one_node(10), fit).fill.in(microsecond), WithinRel(10 * 5 * 0.2, 1e-12));
  REQUIRE_THAT(deepep_terms(one_node(1e5), fit).fill.in(microsecond), WithinRel(100 * 5 * 0.2, 1e-12));
}

TEST_CASE("several nodes send one copy a node over the NIC", "[unit]") {
  DeepEpNormal e = one_node(1000);
  e.ranks = 32;
  e.nodes = 4;
  e.nodes_hit = 3;
  DeepEpFit fit;
  fit.launch = 20 * microsecond;
  fit.doubling = 10 * microsecond;
  const DeepEpTerms terms = deepep_terms(e, fit);
  REQUIRE_THAT(terms.wire.in(second), WithinRel(1000 * 3 * 7000.0 * 3 / 4 / 50e9, 1e-12));
  // Forwarded inside nodes of 8.
  REQUIRE_THAT(terms.link.in(second), WithinRel(1000 * 5 * 7000.0 * 7 / 8 / 450e9, 1e-12));
  REQUIRE_THAT(terms.fixed.in(microsecond), WithinRel(20 + 2 * 10.0, 1e-12));
  CHECK(cost(e, fit).bound_by == "NIC");
}

TEST_CASE("reach counts distinct ranks and nodes, four nodes at most", "[unit]") {
  const MoeFfn moe{.experts = 256, .top_k = 8};
  CHECK(deepep_reach(moe, 8, 1).nodes == 1);
  CHECK(deepep_reach(moe, 8, 1).ranks > 5);  // 8 (1 - (7/8)^8) = 5.25 with replacement; without, a little more
  CHECK(deepep_reach(moe, 8, 1).ranks < 5.4);
  CHECK(deepep_reach(moe, 64, 8).nodes < 4);
  CHECK(deepep_reach(moe, 64, 8).nodes > deepep_reach(moe, 16, 2).nodes);
}

TEST_CASE("low latency launches a block for every group of experts", "[unit]") {
  DeepEpLowLatencyFit fit;
  fit.token = 2 * microsecond;
  fit.expert = 0.5 * microsecond;
  DeepEpLowLatency e{.tokens = 128, .row = 1 * byte, .top_k = 8, .experts = 256, .ranks = 8, .nodes = 1,
                     .multiprocessors = 132, .link = 450 * gigabyte_per_second, .nic = 50 * gigabyte_per_second};
  // 128 blocks of 2 experts.
  REQUIRE_THAT(deepep_terms(e, fit).multiprocessors.in(microsecond), WithinRel(128.0 / 128 * 2, 1e-12));
  REQUIRE_THAT(deepep_terms(e, fit).fixed.in(microsecond), WithinRel(32 * 0.5, 1e-12));
  e.experts = 16;
  REQUIRE_THAT(deepep_terms(e, fit).multiprocessors.in(microsecond), WithinRel(128.0 / 16 * 2, 1e-12));
}

TEST_CASE("more tokens never take less time", "[unit]") {
  DeepEpFit fit;
  fit.fill = kTenPerSm;
  fit.fill_tokens = 100;
  fit.copy_byte = kTenPerSm;
  Seconds before;
  for (double tokens = 1; tokens < 1e6; tokens *= 1.5) {
    const Seconds now = deepep_terms(one_node(tokens), fit).time;
    CHECK(now > before);
    before = now;
  }
}

TEST_CASE("a page's correction reaches the exchange", "[unit]") {
  DeepEpFit fit;
  const Seconds without = deepep_terms(one_node(4096), fit).time;
  fit.surface = std::make_shared<const Surface>(Surface{{"a", "b", "c"}, {{0, 1}, {0, 1}, {0, 1}}, std::vector<double>(8, 0.1)});
  REQUIRE_THAT(deepep_terms(one_node(4096), fit).time / without, WithinRel(std::exp(0.1), 1e-9));
  // 5 ranks of 7000 bytes, 20 multiprocessors
  CHECK(deepep_coordinates(one_node(4096)) == std::array{std::log2(4096.0), std::log2(35000.0), std::log2(20.0)});
}
