// Rounds of speculation thrown with dice, against the closed forms.
#include <catch2/catch.hpp>
#include <cmath>
#include <random>

#include "plan/serving/speculate.hpp"

using namespace moeline;

namespace {

// Sequences of a batch verify together; each remembers whether the speculation under verification came from its cache.
class Rounds {
 public:
  Rounds(std::int64_t drafted, double acceptance, unsigned seed) : drafted_(drafted), acceptance_(acceptance), dice_(seed) {}

  double uniform() { return std::uniform_real_distribution<double>(0, 1)(dice_); }

  std::int64_t kept() {
    std::int64_t kept = 0;
    while (kept < drafted_ && uniform() < acceptance_) ++kept;
    return kept;
  }
  // A bonus token's rank among the draft's guesses: beyond F with probability F^-r.
  bool cached(double slots, double exponent) { return slots >= 1 && std::pow(uniform(), -1 / exponent) <= slots; }

 private:
  std::int64_t drafted_;
  double acceptance_;
  std::mt19937_64 dice_;
};

// Mean and the standard error of a ratio of sums, by batches of rounds.
struct Ratio {
  double mean, error;
};
template <class Draw>  // -> {numerator, denominator} of many rounds
Ratio ratio(Draw draw) {
  constexpr int kBatches = 40;
  double sum = 0, squares = 0;
  for (int i = 0; i < kBatches; ++i) {
    const auto [over, under] = draw();
    sum += over / under;
    squares += (over / under) * (over / under);
  }
  const double mean = sum / kBatches;
  return {mean, std::sqrt((squares / kBatches - mean * mean) / (kBatches - 1))};
}

void check_agrees(const Ratio& thrown, double closed) {
  INFO("thrown " << thrown.mean << " +- " << thrown.error << ", closed form " << closed);
  CHECK(thrown.error < 0.01 * closed);
  CHECK(std::abs(thrown.mean - closed) < 4 * thrown.error);
}

constexpr int kRounds = 5000;

}  // namespace

TEST_CASE("thrown rounds of ordinary speculation keep as many tokens as the closed form") {
  const std::int64_t drafted = GENERATE(2, 5, 8);
  const double acceptance = GENERATE(0.4, 0.8);
  Rounds rounds(drafted, acceptance, 7);
  const Ratio tokens = ratio([&] {
    double sum = 0;
    for (int i = 0; i < kRounds; ++i) sum += static_cast<double>(rounds.kept() + 1);
    return std::pair{sum, double{kRounds}};
  });
  check_agrees(tokens, tokens_per_round({{acceptance}}, drafted));
}

TEST_CASE("thrown outcomes are found in the cache as often as the fan-out says") {
  const double exponent = GENERATE(0.6, 1.0);
  const std::int64_t drafted = 5;
  const FanOut fan_out = whole_fan_out(outcomes({{0.75}}, drafted), exponent, 24);
  Rounds rounds(drafted, 0.75, 11);
  const Ratio hits = ratio([&] {
    double sum = 0;
    for (int i = 0; i < kRounds; ++i) {
      sum += rounds.cached(fan_out.slots[static_cast<std::size_t>(rounds.kept())], exponent) ? 1 : 0;
    }
    return std::pair{sum, double{kRounds}};
  });
  check_agrees(hits, fan_out.hit);
}

TEST_CASE("a thrown chain of hits and misses settles at the steady share") {
  // The chance to hit depends on where the speculation under verification came from; so do its tokens and its time.
  const double after_hit = 0.9, after_miss = 0.5, tokens_hit = 4.2, tokens_miss = 1.3, ahead = 1.2, backup = 0.2;
  Rounds rounds(1, 0.5, 13);
  bool hit = true;
  const Ratio speed = ratio([&] {
    double tokens = 0, time = 0;
    for (int i = 0; i < kRounds; ++i) {
      tokens += hit ? tokens_hit : tokens_miss;
      time += hit ? std::max(1.0, ahead) : 1 + backup;
      hit = rounds.uniform() < (hit ? after_hit : after_miss);
    }
    return std::pair{tokens, time};
  });
  check_agrees(speed, tokens_per_verification({.hit = steady_hit(after_hit, after_miss), .tokens_hit = tokens_hit,
                                               .tokens_miss = tokens_miss, .ahead = ahead, .backup = backup}));
}

TEST_CASE("a thrown batch verifies together and waits for its slowest sequence") {
  const int batch = GENERATE(1, 4, 16);
  const double exponent = 0.8, acceptance = 0.8;
  const std::int64_t drafted = 4;
  const FanOut fan_out = whole_fan_out(outcomes({{acceptance}}, drafted), exponent, 60);
  OverlappedRound round{.hit = fan_out.hit, .tokens_hit = tokens_per_round({{acceptance}}, drafted), .tokens_miss = 1,
                        .ahead = 0.7, .backup = 0.4, .batch = static_cast<double>(batch)};
  Rounds rounds(drafted, acceptance, 17);
  std::vector<bool> hit(static_cast<std::size_t>(batch), true);
  const Ratio speed = ratio([&] {
    double tokens = 0, time = 0;
    for (int i = 0; i < kRounds; ++i) {
      bool all = true;
      for (std::size_t s = 0; s < hit.size(); ++s) {
        const std::int64_t kept = rounds.kept();  // of a random backup none is; its outcome is thrown all the same
        tokens += hit[s] ? static_cast<double>(kept + 1) : 1;
        all &= hit[s];
        hit[s] = rounds.cached(fan_out.slots[static_cast<std::size_t>(kept)], exponent);
      }
      time += all ? 1 : 1.4;
    }
    return std::pair{tokens / batch, time};
  });
  check_agrees(speed, tokens_per_verification(round));
}

TEST_CASE("no other split of whole slots hits more often") {
  const std::vector<double> p = outcomes({{0.7}}, 2);
  const FanOut best = whole_fan_out(p, 0.6, 12);
  for (int a = 0; a <= 12; ++a) {
    for (int b = 0; a + b <= 12; ++b) {
      const std::vector<double> slots{double(a), double(b), double(12 - a - b)};
      CHECK(cache_hit(p, slots, 0.6) <= best.hit + 1e-12);
    }
  }
}
