#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <numeric>
#include <tuple>

#include "normal_scores.hpp"
#include "routing/assignment.hpp"
#include "routing/balancers.hpp"
#include "routing/placement.hpp"
#include "routing/top_choices.hpp"

using namespace moeline;
using Catch::WithinAbs;
using Catch::WithinRel;

namespace {

// The case worked through in Jianlin Su's notation: 8 tokens, 4 experts, 2 each.
const std::vector<float> kSmall{1.206F, .975F, .924F,  .273F,  .778F, .659F,  .192F, .493F, .910F, .367F,  .244F,
                                -.103F, .682F, .771F,  .928F,  .285F, 1.446F, .727F, .780F, .641F, 1.162F, .275F,
                                .304F,  .653F, 1.310F, 1.007F, .756F, .345F,  .954F, .275F, .000F, .453F};

}  // namespace

TEST_CASE("two alternations of quantiles reach the balanced optimum of eight tokens", "[unit]") {
  const RouterScores scores{kSmall, 4, 2};
  std::vector<float> prices(4);
  CHECK_THAT(route(scores, prices).score, WithinAbs(14.359, 1e-3));
  CHECK(route(scores, prices).loads == std::vector<double>{7, 5, 2, 2});
  struct Alternation {
    std::vector<double> alpha, beta;
    double dual, best_dual;  // of these alphas; of the best ones for these betas, where the next alternation begins
  };
  const Alternation first{{.924, .493, .244, .682, .727, .304, .756, .275}, {.554, .051, .000, -.347}, 13.101, 13.048};
  const Alternation second{{.652, .224, .244, .632, .780, .304, .756, .224}, {.554, .123, .000, -.347}, 12.976, 12.976};
  for (const Alternation& expected : {first, second}) {
    const std::vector<float> before = prices;
    prices = next_prices(scores, before);
    TopChoices top(4, 2);
    double dual = 0;
    for (std::size_t i = 0; i < 8; ++i) {
      top.find(scores.of(i), before);
      CHECK_THAT(top.cut_off(), WithinAbs(expected.alpha[i], 5e-4));
      dual += 2 * top.cut_off();
      for (std::size_t j = 0; j < 4; ++j) dual += std::max(0.0F, scores.of(i)[j] - top.cut_off() - prices[j]);
    }
    for (std::size_t j = 0; j < 4; ++j) {
      CHECK_THAT(prices[j], WithinAbs(expected.beta[j], 5e-4));
      dual += 4 * prices[j];
    }
    CHECK_THAT(dual, WithinAbs(expected.dual, 5e-4));
    CHECK_THAT(route(scores, prices).dual, WithinAbs(expected.best_dual, 5e-4));
  }
  CHECK_THAT(best_balanced(scores).score, WithinAbs(12.976, 5e-4));
  CHECK_THAT(balanced_score(scores, prices), WithinAbs(12.976, 0.3));
  CHECK(balanced_score(scores, prices) <= best_balanced(scores).score + 1e-6);
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

TEST_CASE("before any price MaxVio hangs on the largest of the means, and three published draws are among ours", "[unit]") {
  for (const Convergence& c : kConvergence) {
    double sum = 0, squares = 0;
    constexpr int kDraws = 40;
    for (std::uint64_t seed = 1; seed <= kDraws; ++seed) {
      const std::vector<float> values = normal_scores(128, c.experts, seed);
      const double found = violations({values, c.experts, c.top_k}, 0)[0];
      sum += found;
      squares += found * found;
    }
    const double mean = sum / kDraws, deviation = std::sqrt(squares / kDraws - mean * mean);
    INFO(c.experts << " experts: " << mean << " +- " << deviation << ", published " << c.first[0]);
    CHECK(std::abs(c.first[0] - mean) < 3 * deviation);
  }
}

TEST_CASE("alternating quantiles balance normal scores as simulated independently", "[unit]") {
  // The largest size, and all ten of the second, are cases of the benchmarks (quantile_convergence).
  for (const auto& [c, draws, most] : {std::tuple{kConvergence[0], 2, 10}, std::tuple{kConvergence[1], 1, 3}}) {
    std::vector<double> mean(static_cast<std::size_t>(most) + 1);
    for (int seed = 1; seed <= draws; ++seed) {
      const std::vector<float> values = normal_scores(c.tokens, c.experts, static_cast<std::uint64_t>(seed));
      const std::vector<double> found = violations({values, c.experts, c.top_k}, most);
      for (std::size_t t = 0; t < mean.size(); ++t) mean[t] += found[t] / draws;
    }
    // One draw there, whose deviation is that of the largest of n loads over what it is itself: by Gumbel's law
    // pi / sqrt(6) / sqrt(2 ln n) over z_n, 1.283 / 2.884 / 2.36 = 0.19 of 64 experts, 0.14 of 256; a load is whole rows.
    const double n = static_cast<double>(c.experts), row = n / static_cast<double>(c.tokens * c.top_k);
    const double one = std::acos(-1.0) / std::sqrt(6.0) / std::sqrt(2 * std::log(n)) / largest_of_normals(n);
    const auto check = [&](std::size_t t, double published) {
      INFO(n << " experts after " << t << ": " << mean[t] << ", published " << published);
      CHECK(std::abs(mean[t] - published) < 2 * mean[t] * one * std::sqrt(1 + 1.0 / draws) + row);
    };
    for (std::size_t t = 1; t < std::min(c.first.size(), mean.size()); ++t) check(t, c.first[t]);
    if (most == 10) check(10, c.tenth);
  }
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
  CHECK(r.most_on_rank == 1);
  CHECK(r.most_of_rank == 1);
  CHECK(r.own == 0);  // the last rank has no rows but those
  // Ranks 12 0 0 0: the one busy expert of the first is copied to every other, passed on from one to the next.
  const DynamicReplication one = dynamic_replication({12, 0, 0, 0, 0, 0, 0, 0}, 4);
  CHECK(one.copies == 3);
  CHECK(one.most_of_rank == 1);
  CHECK(one.most_on_rank == 1);
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
  for (const Case& c :
       {Case{100, 1.01, 256, 8, 1.31}, Case{100, 1.01, 256, 32, 1.97}, Case{100, 1.01, 256, 64, 2.62},
        Case{100, 1.2, 256, 8, 1.36}, Case{100, 1.2, 256, 32, 2.16}, Case{100, 1.2, 256, 64, 3.01},
        Case{100, 1.5, 256, 8, 1.44}, Case{100, 1.5, 256, 32, 2.55}, Case{100, 1.5, 256, 64, 3.72},
        Case{100, 1.2, 128, 8, 1.53}, Case{100, 1.2, 128, 16, 1.95},
        Case{1000, 1.01, 256, 8, 1.44}, Case{1000, 1.01, 256, 32, 2.38}, Case{1000, 1.01, 256, 64, 3.37},
        Case{1000, 1.2, 256, 8, 1.57}, Case{1000, 1.2, 256, 32, 2.92}, Case{1000, 1.2, 256, 64, 4.56},
        Case{1000, 1.5, 256, 8, 1.92}, Case{1000, 1.5, 256, 32, 4.49}, Case{1000, 1.5, 256, 64, 7.50}}) {
    const Routing routing{.popularity = Popularity::power_law, .alpha = c.alpha, .spread = c.spread};
    const ExpertShares shares = draw_shares(routing, c.experts, 2000, 7);
    double sum = 0, squares = 0;
    for (std::size_t i = 0; i < shares.rows(); ++i) {
      const double overload = overload_of(summed(shares.row(i), c.ranks));
      sum += overload;
      squares += overload * overload;
    }
    const double mean = sum / 2000, deviation = std::sqrt(squares / 2000 - mean * mean);
    INFO("spread " << c.spread << ", alpha " << c.alpha << ", " << c.experts << " experts on " << c.ranks << " ranks");
    CHECK_THAT(mean, WithinRel(c.overload, 0.03));
    // 400 draws there, 2,000 here; two figures after the point were given.
    CHECK(std::abs(mean - c.overload) < 3 * deviation * std::sqrt(1.0 / 400 + 1.0 / 2000) + 0.005);
  }
}

TEST_CASE("EPLB evens power-law popularity as simulated independently", "[unit]") {
  const auto overload = [](double spread, std::size_t slots) {
    const Routing routing{.popularity = Popularity::power_law, .alpha = 1.2, .spread = spread};
    const ExpertShares shares = draw_shares(routing, 256, 100, 7);
    double mean = 0;
    for (std::size_t i = 0; i < shares.rows(); ++i)
      mean += overload_of(eplb(shares.row(i), {.slots = slots, .ranks = 32}).rank_loads) / 100;
    return mean;
  };
  CHECK(overload(100, 288) < 1.03);
  CHECK_THAT(overload(1000, 288), WithinAbs(1.004, 0.002));
  CHECK_THAT(overload(1000, 256), WithinRel(1.44, 0.03));  // packed anew, nothing replicated
}
