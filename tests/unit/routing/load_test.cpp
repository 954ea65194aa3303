#include "routing/load.hpp"

#include <catch2/catch.hpp>
#include <cmath>

#include "spec/popularity.hpp"

using namespace moeline;
using Catch::WithinRel;

namespace {

MoeFfn moe(std::int64_t experts, std::int64_t top_k, std::int64_t groups = 1, std::int64_t top_groups = 1) {
  return {.experts = experts, .top_k = top_k, .width = 64, .groups = groups, .top_groups = top_groups};
}

const Routing kBalanced{.popularity = Popularity::balanced}, kUniform{.popularity = Popularity::uniform};

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
  // Top 8 of 256 on 32 ranks, simulated: mean of the hottest rank over the mean.
  CHECK_THAT(random_overload(moe(256, 8), 32, 32), WithinRel(1.763, 0.05));
  CHECK_THAT(random_overload(moe(256, 8), 1024, 32), WithinRel(1.130, 0.01));
  CHECK_THAT(random_overload(moe(256, 8), 8192, 32), WithinRel(1.045, 0.01));
  CHECK_THAT(random_overload(moe(256, 8), 131072, 32), WithinRel(1.010, 0.003));
  CHECK(expert_load(moe(128, 8), kUniform, 4096, 8).overload == random_overload(moe(128, 8), 4096, 8));
  CHECK(expert_load(moe(128, 8), kUniform, 4096, 1).overload == 1);
}

TEST_CASE("groups that open together make a random router less even", "[unit]") {
  // Without groups: 8 draws of 256, 8 of them mine: 8 x 1/32 x 31/32 x 248/255.
  CHECK_THAT(rows_variance(moe(256, 8), 32), WithinRel(8.0 / 32 * 31 / 32 * 248 / 255, 1e-12));
  CHECK(rows_variance(moe(256, 8, 8, 4), 32) > rows_variance(moe(256, 8), 32));
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

TEST_CASE("a balancer takes from the hottest rank of a power law what it says", "[unit]") {
  Routing routing{.popularity = Popularity::power_law, .alpha = 1.01, .spread = 1000};
  routing.drawn.shares = std::make_shared<const ExpertShares>(draw_shares(routing, 256, 64, 1));
  const auto overload = [&](Balancer balancer) {
    routing.balancer = balancer;
    routing.redundant = balancer == Balancer::eplb ? 32 : 0;
    routing.max_violation = 0.04;
    return expert_load(moe(256, 8), routing, 131072, 32).overload;
  };
  CHECK_THAT(overload(Balancer::none), WithinRel(2.38, 0.1));  // TensorRT-LLM, DeepSeek-R1, 32 ranks: 2.564
  CHECK(overload(Balancer::eplb) < 1.05);                      // 1.109 there, with loads of some minutes before
  CHECK(overload(Balancer::loss_free) < 1.04 + 0.01);
  CHECK_THAT(overload(Balancer::quantile), WithinRel(1.014, 0.002));  // sqrt(2) of a random router's 1.010
  CHECK(overload(Balancer::dynamic) == 1);
}

TEST_CASE("a measured overload is taken as it is", "[unit]") {
  CHECK(expert_load(moe(256, 8), {.popularity = Popularity::overload, .alpha = 1.338}, 4096, 64).overload == 1.338);
}

TEST_CASE("routing is the same when what was drawn is", "[unit]") {
  const auto drawn = [](std::uint64_t seed) {
    Routing routing{.popularity = Popularity::zipf, .alpha = 1};
    routing.drawn.shares = std::make_shared<const ExpertShares>(draw_shares(routing, 16, 4, seed));
    return routing;
  };
  CHECK(drawn(1) == drawn(1));
  CHECK_FALSE(drawn(1) == drawn(2));
}
