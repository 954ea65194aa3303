#include "routing/sampler.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <numeric>

using namespace moeline;

namespace {

std::int64_t sum(const Loads& loads, std::int64_t first, std::int64_t count) {
  const auto from = loads.begin() + first;
  return std::accumulate(from, from + count, std::int64_t{0});
}

// Group sizes, top-k and token counts that models have, from one token to more than every expert can take.
const std::vector<TokenBatch> kBatches{{1, 256, 8, 8},   {4, 8, 2, 8},        {64, 128, 8, 1},      {256, 160, 8, 4},
                                       {1000, 16, 1, 2}, {4096, 512, 10, 64}, {16384, 384, 8, 128}, {7, 896, 16, 4}};

}  // namespace

TEST_CASE("balanced tokens load every expert alike", "[unit]") {
  // Stride 8/2 = 4: token i takes experts i and i + 4 mod 8; 16 tokens x 2 / 8 experts.
  CHECK(balanced_loads({16, 8, 2, 4}) == Loads(8, 4));
  // One token of 256 experts takes 0, 32, 64, ...: one on each of eight ranks.
  const Loads one = balanced_loads({1, 256, 8, 8});
  for (std::int64_t rank = 0; rank < 8; ++rank) CHECK(sum(one, rank * 32, 32) == 1);
}

TEST_CASE("a token touches a rank once however many of its experts live there", "[unit]") {
  // Rank 0 of 4 holds experts 0 and 1; token i has i and i + 4 mod 8: i mod 8 in {0, 1, 4, 5}, half of them.
  CHECK(tokens_at_first_rank(balanced_kinds({16, 8, 2, 4}), 2) == 8);
  CHECK(tokens_at_first_rank(balanced_kinds({16, 8, 2, 1}), 8) == 16);
}

TEST_CASE("popularity by a power law keeps every row, caps an expert at all tokens, and puts the hottest rank first",
          "[unit]") {
  for (const double exponent : {0.6, 1.0, 1.2}) {
    for (const TokenBatch& batch : kBatches) {
      Random random(11);
      const Loads loads = power_law_loads(batch, exponent, random);
      const std::int64_t local = batch.local_experts();
      CHECK(sum(loads, 0, batch.experts) == batch.tokens * batch.top_k);
      CHECK(*std::max_element(loads.begin(), loads.end()) <= batch.tokens);
      CHECK(*std::min_element(loads.begin(), loads.end()) >= 0);
      for (std::int64_t rank = 1; rank < batch.ranks; ++rank)
        CHECK(sum(loads, 0, local) >= sum(loads, rank * local, local));
    }
  }
}

TEST_CASE("kinds of tokens add up to the loads they were made from, with different experts each", "[unit]") {
  for (const TokenBatch& batch : kBatches) {
    Random random(5);
    const Loads loads = power_law_loads(batch, 1.2, random);
    const TokenKinds kinds = kinds_of(batch, loads);
    CHECK(loads_of(kinds, batch.experts) == loads);
    CHECK(std::accumulate(kinds.tokens.begin(), kinds.tokens.end(), std::int64_t{0}) == batch.tokens);
    for (auto at = kinds.experts.begin(); at != kinds.experts.end(); at += batch.top_k) {
      std::vector<std::int64_t> chosen(at, at + batch.top_k);
      std::sort(chosen.begin(), chosen.end());
      CHECK(std::adjacent_find(chosen.begin(), chosen.end()) == chosen.end());
    }
  }
}

TEST_CASE("a seed names one draw on every machine", "[unit]") {
  const auto draw = [](std::uint64_t seed) {
    Random random(seed);
    return power_law_loads({1024, 128, 8, 8}, 1.2, random);
  };
  CHECK(draw(3) == draw(3));
  CHECK(draw(3) != draw(4));
  // ISO C++ [rand.predef]: the 10000th number of a default mt19937_64 (seed 5489) is 9981545732273789042.
  Random random(5489);
  for (int i = 1; i < 10000; ++i) random.next();
  CHECK(random.next() == static_cast<double>(9981545732273789042ULL >> 11) * 0x1p-53);
}

TEST_CASE("a group-limited router given ties opens the first groups and fills up from the front", "[unit]") {
  // One expert wished in each of eight groups: groups 0..3 stay open with 0, 32, 64 and 96; 1..4 fill the other places.
  const TokenBatch batch{1, 256, 8, 8};
  CHECK(group_limited(batch, balanced_kinds(batch), 8, 4).experts ==
        std::vector<std::int64_t>{0, 32, 64, 96, 1, 2, 3, 4});
}
