#include "plan/serving/speculate.hpp"

#include <array>
#include <catch2/catch.hpp>
#include <cmath>

#include "routing/load.hpp"

using namespace moeline;
using Catch::Matchers::WithinAbs;
using Catch::Matchers::WithinRel;

namespace {

std::vector<double> kept(double acceptance, std::int64_t drafted) { return outcomes({{acceptance}}, drafted); }

}  // namespace

TEST_CASE("ordinary speculation has the tokens, speed-up and operations of Leviathan's closed forms") {
  struct Row {
    double acceptance;
    std::int64_t drafted;
    double draft, tokens, speedup, operations;
  };
  // E = (1 - a^(K+1)) / (1 - a); E / (K c + 1); (K c + K + 1) / E
  const Row row = GENERATE(Row{0.8, 4, 0.05, 3.3616, 2.8013, 1.5469}, Row{0.8, 5, 0.10, 3.6893, 2.4595, 1.7619},
                           Row{0.7, 4, 0.05, 2.7731, 2.3109, 1.8752}, Row{0.9, 8, 0.02, 6.1258, 5.2809, 1.4953},
                           Row{0.6, 3, 0.05, 2.1760, 1.8922, 1.9072});
  const double tokens = tokens_per_round({{row.acceptance}}, row.drafted);
  CHECK_THAT(tokens, WithinAbs(row.tokens, 5e-5));
  CHECK_THAT(sequential_speedup(tokens, row.drafted, row.draft), WithinAbs(row.speedup, 5e-5));
  CHECK_THAT(operations_factor(tokens, row.drafted, row.draft), WithinAbs(row.operations, 5e-5));
}

TEST_CASE("acceptance may fall with the position") {
  CHECK_THAT(tokens_per_round({{0.8, 0.5}}, 3), WithinRel(1 + 0.8 + 0.8 * 0.5 + 0.8 * 0.5 * 0.5, 1e-12));
  const std::array<double, 4> expected{0.2, 0.8 * 0.5, 0.8 * 0.5 * 0.5, 0.8 * 0.5 * 0.5};
  const std::vector<double> by_kept = outcomes({{0.8, 0.5}}, 3);
  REQUIRE(by_kept.size() == expected.size());
  for (std::size_t k = 0; k < expected.size(); ++k) CHECK_THAT(by_kept[k], WithinRel(expected[k], 1e-12));
}

TEST_CASE("cached outcomes spread as a capped geometric series") {
  struct Row {
    double acceptance, exponent, budget;
    std::vector<double> slots;
    double hit, even;
  };
  const Row row = GENERATE(Row{0.8, 1, 21, {3.64, 3.26, 2.91, 2.61, 2.33, 2.08, 4.17}, 0.6832, 0.6667},
                           Row{0.9, 1, 32, {4.22, 4.00, 3.80, 3.60, 3.42, 3.24, 9.72}, 0.8202, 0.7812},
                           Row{0.8, 0.6, 15, {3.09, 2.69, 2.34, 2.04, 4.84}, 0.5074, 0.4827},
                           Row{0.7, 0.6, 24, {5.46, 4.37, 3.49, 2.80, 2.24, 1.79, 1.43, 2.43}, 0.5232, 0.4827},
                           Row{0.64, 1, 20, {5.50, 4.40, 3.52, 2.82, 3.76}, 0.7622, 0.7500});
  const std::vector<double> p = kept(row.acceptance, static_cast<std::int64_t>(row.slots.size()) - 1);
  const FanOut best = best_fan_out(p, row.exponent, row.budget);
  REQUIRE(best.slots.size() == row.slots.size());
  for (std::size_t k = 0; k < best.slots.size(); ++k) CHECK_THAT(best.slots[k], WithinAbs(row.slots[k], 5e-3));
  CHECK_THAT(best.total(), WithinRel(row.budget, 1e-12));
  CHECK_THAT(best.hit, WithinAbs(row.hit, 5e-5));
  CHECK_THAT(even_fan_out(p, row.exponent, row.budget).hit, WithinAbs(row.even, 5e-5));
}

TEST_CASE("a fan-out has the closed form of its optimum") {
  // D = (1 - b^K)/(1 - b) + b^K (1-a)^(-1/(1+r)), F_0 = B/D, b = a^(1/(1+r))
  const double a = 0.8, r = 0.6, budget = 15, beta = std::pow(a, 1 / (1 + r)), at_end = std::pow(beta, 4);
  const double first = budget / ((1 - at_end) / (1 - beta) + at_end * std::pow(1 - a, -1 / (1 + r)));
  const double missed = std::pow(first, -r) *
                        ((1 - a) * (1 - at_end) / (1 - beta) + std::pow(1 - a, r / (1 + r)) * at_end);
  CHECK_THAT(best_fan_out(kept(a, 4), r, budget).hit, WithinRel(1 - missed, 1e-12));
}

TEST_CASE("whole slots lose little, and slots that would be less than one go elsewhere") {
  const std::vector<double> p = kept(0.8, 6);
  const FanOut real = best_fan_out(p, 1, 21), whole = whole_fan_out(p, 1, 21);
  CHECK(whole.total() <= 21);
  CHECK(whole.hit <= real.hit);
  CHECK(whole.hit > real.hit - 0.01);
  for (const double slots : whole.slots) CHECK(slots == std::floor(slots));
  const FanOut few = best_fan_out(p, 1, 5);
  for (const double slots : few.slots) CHECK((slots == 0 || slots >= 1));
  CHECK_THAT(few.total(), WithinRel(5.0, 1e-12));
  CHECK(whole_fan_out(p, 1, 1).hit == 0);  // one slot holds the likeliest token and never suffices: 1 - 1^-r = 0
}

TEST_CASE("a batch is spared drafting only if all its sequences hit") {
  const OverlappedRound anew{.hit = 0.9, .tokens_hit = 4.4, .tokens_miss = 4.4, .ahead = 0.3, .backup = 0.3};
  const std::array<double, 6> batches{1, 2, 4, 8, 16, 32}, speedups{4.2718, 4.1627, 3.9885, 3.7579, 3.5358, 3.4116};
  for (std::size_t i = 0; i < batches.size(); ++i) {
    OverlappedRound round = anew;
    round.batch = batches[i];
    CHECK_THAT(tokens_per_verification(round), WithinAbs(speedups[i], 5e-5));
    round.tokens_miss = 1;  // drawn at random, at once
    round.backup = 0;
    CHECK_THAT(tokens_per_verification(round), WithinAbs(4.0600, 5e-5));
  }
  CHECK_THAT(sequential_speedup(4.4, 1, 0.3), WithinAbs(3.3846, 5e-5));
}

TEST_CASE("from some batch on random tokens are the better backup") {
  const auto switch_at = [](double hit, double backup) {
    return backup_switch({.hit = hit, .tokens_hit = 4.4, .tokens_miss = 4.4, .ahead = 0.3, .backup = backup}, 1);
  };
  CHECK_THAT(*switch_at(0.90, 0.3), WithinAbs(3.11, 5e-3));
  CHECK_THAT(*switch_at(0.90, 0.6), WithinAbs(1.43, 5e-3));
  CHECK_THAT(*switch_at(0.80, 0.3), WithinAbs(4.21, 5e-3));
  CHECK_THAT(*switch_at(0.85, 0.3), WithinAbs(3.54, 5e-3));
  CHECK_THAT(*switch_at(0.95, 0.3), WithinAbs(2.80, 5e-3));
  CHECK_FALSE(switch_at(0.70, 0.3));
}

TEST_CASE("drafting ahead is never slower than the same drafter in turn, and is bounded by its drafting time") {
  const double tokens = 3.5, draft = 0.4;
  for (const double hit : {0.0, 0.3, 0.9, 1.0}) {
    const OverlappedRound round{.hit = hit, .tokens_hit = tokens, .tokens_miss = tokens, .ahead = 0.8, .backup = draft};
    const double gain = tokens_per_verification(round) / (tokens / (1 + draft));
    CHECK(gain >= 1 - 1e-12);
    CHECK(gain <= 1 + draft + 1e-12);  // (1 + T_SD) E_hit / E_SD
    if (hit == 1) CHECK_THAT(gain, WithinRel(1 + draft, 1e-12));
  }
}

TEST_CASE("scaling the draft's likely tokens down trades acceptance for hits") {
  const std::vector<double> target{0.5, 0.2, 0.15, 0.1, 0.05}, draft{0.5, 0.2, 0.1, 0.1, 0.1};
  const SamplingTrade plain = scaled_sampling(target, draft, 2, 1);
  CHECK_THAT(plain.acceptance, WithinRel(0.5 + 0.2 + 0.1 + 0.1 + 0.05, 1e-12));
  CHECK_THAT(plain.hit, WithinAbs(0, 1e-12));  // rejections give token 2, and tokens 0 and 1 are cached
  SamplingTrade before = plain;
  for (const double scale : {0.8, 0.5, 0.2, 0.05}) {
    const SamplingTrade trade = scaled_sampling(target, draft, 2, scale);
    CHECK(trade.acceptance < before.acceptance);
    CHECK(trade.hit > before.hit);
    before = trade;
  }
  // Likely tokens are never drafted: 0.1 + 0.05 is kept, and of the rest 0.5 and 0.2 of 0.85 are cached.
  const SamplingTrade never = scaled_sampling(target, draft, 2, 0);
  CHECK_THAT(never.acceptance, WithinRel(0.15, 1e-12));
  CHECK_THAT(never.hit, WithinRel(0.7 / 0.85, 1e-12));
}

TEST_CASE("a draft tree must be done within one verification") {
  CHECK(most_drafted(11.45 * millisecond, 2.54 * millisecond) == 4);  // 4 x 2.54 = 10.16, 5 x 2.54 = 12.7
}

TEST_CASE("logits are most of what a round sends") {
  // 7 x 128256 x 2 B = 1.80 MB, and 8 words
  const RoundMessages sampled = round_messages(1, 7, 32, 128256, true);
  CHECK_THAT(sampled.to_target.in(byte), WithinRel(7 * 128256 * 2 + 8.0 * (1 + 7), 1e-12));
  CHECK(round_messages(1, 7, 32, 128256, false).to_target < 100 * byte);
  CHECK_THAT(sampled.to_draft.in(byte), WithinRel(8.0 * (4 + 3 + 1 + 32 + 1), 1e-12));
}

TEST_CASE("experts touched by verified tokens follow the published table") {
  struct Row {
    std::int64_t experts, top_k;
    std::array<double, 8> touched;  // by 1, 2, 4 .. 128 tokens
    double most;                    // tokens that touch 95 % of them
  };
  const Row row = GENERATE(Row{8, 2, {2, 3.50, 5.47, 7.20, 7.92, 8.00, 8, 8}, 11},
                           Row{128, 8, {8, 15.50, 29.12, 51.62, 82.42, 111.77, 125.94, 127.97}, 47},
                           Row{128, 4, {4, 7.88, 15.27, 28.71, 50.98, 81.66, 111.22, 125.80}, 95},
                           Row{256, 8, {8, 15.75, 30.53, 57.42, 101.96, 163.31, 222.44, 251.60}, 95},
                           Row{384, 8, {8, 15.83, 31.01, 59.52, 109.82, 188.23, 284.19, 358.06}, 143},
                           Row{512, 10, {10, 19.80, 38.84, 74.74, 138.57, 239.64, 367.11, 471.00}, 152},
                           Row{896, 16, {16, 31.71, 62.31, 120.28, 224.41, 392.62, 613.20, 806.74}, 167});
  for (std::size_t i = 0; i < row.touched.size(); ++i) {
    const double hit = expected_experts_hit(static_cast<double>(row.experts), static_cast<double>(row.top_k), std::exp2(i));
    CHECK_THAT(hit, WithinAbs(row.touched[i], 5.1e-3));
  }
  CHECK(tokens_touching({.experts = row.experts, .top_k = row.top_k}, 0.95) == row.most);
}

TEST_CASE("consecutive tokens touch fewer experts than independent ones") {
  const MoeFfn moe{.experts = 128, .top_k = 8};
  const auto touched = [&](double batch, double tokens, double correlation) {
    return expected_experts_hit(128, 8, independent_tokens(moe, batch, tokens, correlation));
  };
  CHECK_THAT(touched(1, 4, 0.69), WithinRel(0.69 * 29.12, 1e-3));  // 2.5 times those of one token
  CHECK_THAT(touched(1, 1, 0.69), WithinRel(8.0, 1e-12));
  CHECK_THAT(touched(16, 1, 0.69), WithinRel(82.42, 1e-4));  // sequences are independent
  CHECK_THAT(touched(2, 4, 1), WithinRel(51.62, 1e-4));
  CHECK(touched(1, 8, 0.69) < touched(1, 8, 1));
}
