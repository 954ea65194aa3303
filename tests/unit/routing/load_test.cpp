#include "routing/load.hpp"

#include <catch2/catch.hpp>
#include <cmath>

using namespace moeline;
using Catch::WithinRel;

namespace {

MoeFfn moe(std::int64_t experts, std::int64_t top_k, std::int64_t groups = 1, std::int64_t top_groups = 1) {
  return {.experts = experts, .top_k = top_k, .width = 64, .groups = groups, .top_groups = top_groups};
}

constexpr Routing kBalanced{Popularity::balanced}, kUniform{Popularity::uniform};

}  // namespace

TEST_CASE("one token hits as many experts as it chooses", "[unit]") {
  REQUIRE_THAT(expected_experts_hit(128, 8, 1), WithinRel(8.0, 1e-12));
  REQUIRE_THAT(expected_experts_hit(8, 8, 1), WithinRel(8.0, 1e-12));
}

TEST_CASE("two tokens hit experts twice with the chance that they agree", "[unit]") {
  REQUIRE_THAT(expected_experts_hit(128, 8, 2), WithinRel(128 * (1 - 120.0 / 128 * 120.0 / 128), 1e-12));  // 15.5
}

TEST_CASE("many tokens hit every expert", "[unit]") {
  REQUIRE_THAT(expected_experts_hit(128, 8, 1e6), WithinRel(128.0, 1e-12));
}

TEST_CASE("a token of DeepSeek-V3 touches at most four of eight nodes", "[unit]") {
  const double nodes = expected_domains_hit(moe(256, 8, 8, 4), 8);
  // One group per node, 4 open, 8 of their 128 experts: 4 (1 - C(96,8)/C(128,8)).
  const double missed = 96.0 / 128 * 95 / 127 * 94 / 126 * 93 / 125 * 92 / 124 * 91 / 123 * 90 / 122 * 89 / 121;
  REQUIRE_THAT(nodes, WithinRel(4 * (1 - missed), 1e-9));
  CHECK(nodes < 4);
}

TEST_CASE("all experts chosen touch every domain", "[unit]") {
  for (const double domains : {1.0, 2.0, 4.0, 8.0})
    REQUIRE_THAT(expected_domains_hit(moe(8, 8), domains), WithinRel(domains, 1e-12));
}

TEST_CASE("balanced routing loads every rank alike", "[unit]") {
  const ExpertLoad load = expert_load(moe(128, 8), kBalanced, 4096, 8);
  CHECK(load.overload == 1);
  CHECK(load.experts_hit == 16);
  CHECK(expert_load(moe(128, 8), kBalanced, 1, 8).experts_hit == 1);  // 8 choices over 8 ranks
}

TEST_CASE("uniform routing overloads the hottest rank by the floor", "[unit]") {
  const ExpertLoad load = expert_load(moe(128, 8), kUniform, 4096, 8);
  // 1 + sqrt(2 ln 8 (7/8) / (4096 x 8 / 8))
  REQUIRE_THAT(load.overload, WithinRel(1 + std::sqrt(2 * std::log(8.0) * 7 / 8 / 4096), 1e-12));
  CHECK(expert_load(moe(128, 8), kUniform, 4096, 1).overload == 1);
}

TEST_CASE("the more tokens, the less uniform routing overloads", "[unit]") {
  double before = 1e9;
  for (const double tokens : {16.0, 256.0, 4096.0, 65536.0}) {
    const double now = expert_load(moe(128, 8), kUniform, tokens, 8).overload;
    CHECK(now < before);
    CHECK(now > 1);
    before = now;
  }
}
