#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <numeric>

#include "routing/assignment.hpp"
#include "routing/balancers.hpp"
#include "routing/imbalance.hpp"
#include "routing/placement.hpp"
#include "routing/quantile.hpp"
#include "routing/top_choices.hpp"
#include "spec/popularity.hpp"

using namespace moeline;
using Catch::WithinAbs;
using Catch::WithinRel;

namespace {

constexpr double kPi = 3.14159265358979323846;

double normal(Random& random) {
  return std::sqrt(-2 * std::log(1 - random.next())) * std::cos(2 * kPi * random.next());
}

// Scores N(mu_j, 1) with mu_j ~ N(0, 1).
std::vector<float> normal_scores(std::size_t tokens, std::size_t experts, std::uint64_t seed) {
  Random random(seed);
  std::vector<double> mean(experts);
  for (double& m : mean) m = normal(random);
  std::vector<float> values(tokens * experts);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(mean[i % experts] + normal(random));
  return values;
}

double violation_after(const RouterScores& scores, int alternations) {
  std::vector<float> prices(scores.experts);
  for (int i = 0; i < alternations; ++i) prices = next_prices(scores, prices);
  return max_violation(route(scores, prices).loads);
}

// The case worked through in Jianlin Su's notation: 8 tokens, 4 experts, 2 each.
const std::vector<float> kSmall{1.206F, .975F, .924F,  .273F,  .778F, .659F,  .192F, .493F, .910F, .367F,  .244F,
                                -.103F, .682F, .771F,  .928F,  .285F, 1.446F, .727F, .780F, .641F, 1.162F, .275F,
                                .304F,  .653F, 1.310F, 1.007F, .756F, .345F,  .954F, .275F, .000F, .453F};

}  // namespace

TEST_CASE("two alternations of quantiles reach the balanced optimum of eight tokens", "[unit]") {
  const RouterScores scores{kSmall, 4, 2};
  const std::vector<float> none(4), one = next_prices(scores, none), two = next_prices(scores, one);
  CHECK_THAT(route(scores, none).score, WithinAbs(14.359, 1e-3));
  CHECK(route(scores, none).loads == std::vector<double>{7, 5, 2, 2});
  for (std::size_t j = 0; j < 4; ++j) CHECK_THAT(one[j], WithinAbs(std::vector{.554, .051, .000, -.347}[j], 1e-3));
  CHECK_THAT(route(scores, two).dual, WithinAbs(12.976, 1e-3));
  CHECK_THAT(two[1], WithinAbs(.123, 1e-3));
  CHECK_THAT(best_balanced(scores).score, WithinAbs(12.976, 1e-3));
  CHECK_THAT(balanced_score(scores, two), WithinAbs(12.976, 0.3));
  CHECK(balanced_score(scores, two) <= best_balanced(scores).score + 1e-6);
}

TEST_CASE("no alternation raises the dual, which stays above the exact optimum and comes to it", "[unit]") {
  for (const std::uint64_t seed : {1U, 2U, 3U}) {
    const std::vector<float> values = normal_scores(96, 8, seed);
    const RouterScores scores{values, 8, 2};
    const double best = best_balanced(scores).score;
    std::vector<float> prices(8);
    double before = route(scores, prices).dual;
    for (int i = 0; i < 20; ++i) {
      prices = next_prices(scores, prices);
      const double dual = route(scores, prices).dual;
      CHECK(dual <= before + 1e-4);
      CHECK(dual >= best - 1e-4);
      before = dual;
    }
    CHECK_THAT(before, WithinRel(best, 3e-3));
  }
}

TEST_CASE("alternating quantiles balance normal scores as published", "[unit]") {
  const std::vector<float> values = normal_scores(16384, 64, 1);
  const RouterScores scores{values, 64, 4};
  // .263 .065 after 1, 2; the largest of 64 loads, so another draw moves them by about 15 %.
  CHECK_THAT(violation_after(scores, 1), WithinRel(.263, .2));
  CHECK_THAT(violation_after(scores, 2), WithinRel(.065, .25));
  CHECK(violation_after(scores, 5) < .02);
  CHECK(violation_after(scores, 10) < .01);
}

TEST_CASE("counts in bins, a mean over devices and one exact quantile price alike", "[unit]") {
  const std::vector<float> values = normal_scores(65536, 16, 4);
  const RouterScores scores{values, 16, 2};
  const std::vector<float> from(16), exact = next_prices(scores, from), binned = next_prices(scores, from, {4000, 4}),
                                     devices = next_prices_by_device(scores, from, 8);
  for (std::size_t j = 0; j < 16; ++j) {
    CHECK_THAT(binned[j], WithinAbs(exact[j], 2 * 8.0 / 4000));
    CHECK_THAT(devices[j], WithinAbs(exact[j], 0.05));  // noise of 8192 tokens' quantiles, averaged over 8
  }
  // 65,536 tokens are bracketed by a sample; the exact quantile of one column says the same.
  std::vector<float> column;
  TopChoices top(16, 2);
  for (std::size_t i = 0; i < scores.tokens(); ++i) {
    top.find(scores.of(i), from);
    column.push_back(scores.of(i)[3] - top.cut_off());
  }
  std::sort(column.begin(), column.end(), std::greater<>());
  CHECK(exact[3] == column[65536 * 2 / 16]);
}

TEST_CASE("a dynamic number of experts per token fills every expert exactly", "[unit]") {
  const std::vector<float> values = normal_scores(1024, 8, 5);
  const RouterScores scores{values, 8, 2};
  const std::vector<double> loads = dynamic_loads(scores, dynamic_prices(scores));
  for (const double load : loads) CHECK(load == 256);
  const std::vector<std::int64_t> takers = tokens_by_takers(scores);  // expert choice: the same, seen from tokens
  CHECK(std::accumulate(takers.begin(), takers.end(), std::int64_t{0}) == 1024);
  CHECK(takers[0] > 0);
}

TEST_CASE("Sinkhorn and the sign rule bring loads towards the mean", "[unit]") {
  const std::vector<float> values = normal_scores(4096, 16, 6);
  const RouterScores scores{values, 16, 2};
  std::vector<float> prices(16);
  const double before = max_violation(route(scores, prices).loads);
  CHECK(max_violation(route(scores, sinkhorn_prices(scores, {1, 20})).loads) < 0.5 * before);
  for (int i = 0; i < 50; ++i) prices = sign_prices(prices, route(scores, prices).loads, 0.05);
  CHECK(max_violation(route(scores, prices).loads) < 0.2 * before);
}

TEST_CASE("EPLB loads the ranks of its published example as its code does", "[unit]") {
  const PlacementSites sites{.slots = 16, .groups = 4, .nodes = 2, .ranks = 8};
  const Placement first = eplb({90, 132, 40, 61, 104, 165, 39, 4, 73, 56, 183, 86}, sites);
  CHECK(first.rank_loads == std::vector{121.5, 86.5, 125.0, 113.0, 147.5, 131.5, 156.0, 152.0});
  const Placement second = eplb({20, 107, 104, 64, 19, 197, 187, 157, 172, 86, 16, 27}, sites);
  CHECK(second.rank_loads == std::vector{173.0, 179.5, 120.5, 172.0, 123.0, 152.0, 118.5, 117.5});
}

TEST_CASE("dynamic replication moves no more than the surplus, to few copies", "[unit]") {
  const DynamicReplication r = dynamic_replication({8, 0, 2, 2, 2, 2, 0, 0}, 4);  // ranks 8 4 4 0, mean 4
  CHECK_THAT(r.moved, WithinRel(4.0 / 16, 1e-12));
  CHECK(r.copies == 1);
}

TEST_CASE("what exceeds capacity is dropped, and nothing else", "[unit]") {
  const Capped kept = capped({6, 2, 2, 2}, 1.0);  // mean 3
  CHECK(kept.loads == std::vector<double>{3, 2, 2, 2});
  CHECK_THAT(kept.drop_rate, WithinRel(3.0 / 12, 1e-12));
  CHECK(capped({6, 2, 2, 2}, 2.0).drop_rate == 0);
}

TEST_CASE("ranks under power-law popularity are as uneven as simulated independently", "[unit]") {
  struct Case {
    double spread, alpha;
    std::size_t experts, ranks;
    double overload;
  };
  for (const Case& c : {Case{100, 1.01, 256, 8, 1.31}, Case{100, 1.01, 256, 32, 1.97}, Case{100, 1.01, 256, 64, 2.62},
                        Case{100, 1.2, 256, 32, 2.16}, Case{100, 1.5, 256, 64, 3.72}, Case{100, 1.2, 128, 16, 1.95},
                        Case{1000, 1.01, 256, 32, 2.38}, Case{1000, 1.2, 256, 64, 4.56}, Case{1000, 1.5, 256, 8, 1.92},
                        Case{1000, 1.5, 256, 32, 4.49}}) {
    const Routing routing{.popularity = Popularity::power_law, .alpha = c.alpha, .spread = c.spread};
    const ExpertShares shares = draw_shares(routing, c.experts, 2000, 7);
    double mean = 0;
    for (std::size_t i = 0; i < shares.rows(); ++i) mean += overload_of(summed(shares.row(i), c.ranks)) / 2000;
    CHECK_THAT(mean, WithinRel(c.overload, 0.03));  // 400 draws there
  }
}
