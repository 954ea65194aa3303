// The routing kernels, run on the CPU from their own source, against loops.
#include "unit/kernels/on_cpu.hpp"

#include "validate/kernels/routing.cu"
// after the kernels
#include <catch2/catch.hpp>
#include <numeric>
#include <random>

#include "validate/codec.hpp"

namespace moeline::kernels {
namespace {

constexpr int kTokens = 61, kExperts = 40, kTopK = 3;

std::vector<float> random_logits() {
  std::mt19937 generator(5);
  std::normal_distribution<float> normal;
  std::vector<float> logits(kTokens * kExperts);
  for (float& logit : logits) logit = std::round(normal(generator) * 8) / 8;  // with ties
  return logits;
}

// Experts of one token from best to worst; of equals the lower first.
std::vector<int> ranked(const float* logits) {
  std::vector<int> order(kExperts);
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return logits[a] > logits[b]; });
  return order;
}

struct Routed {
  std::vector<int> chosen = std::vector<int>(kTokens * kTopK), counts = std::vector<int>(kExperts, 99);
  std::vector<float> weights = std::vector<float>(kTokens * kTopK);
};

Routed routed(const std::vector<float>& logits, RouterScore score) {
  Routed result;
  const Route pass{score,
                   logits.data(),
                   kTokens,
                   kExperts,
                   kTopK,
                   result.chosen.data(),
                   result.weights.data(),
                   result.counts.data()};
  REQUIRE(route(pass, nullptr) == cudaSuccess);
  return result;
}

}  // namespace

TEST_CASE("a token goes to its best experts, and softmax weights are shares of all", "[unit]") {
  const std::vector<float> logits = random_logits();
  const Routed result = routed(logits, RouterScore::softmax);
  std::vector<int> counts(kExperts, 0);
  for (int token = 0; token < kTokens; ++token) {
    const float* of_token = &logits[static_cast<std::size_t>(token * kExperts)];
    const std::vector<int> order = ranked(of_token);
    double sum = 0;
    for (int e = 0; e < kExperts; ++e) sum += std::exp(static_cast<double>(of_token[e]));
    for (int k = 0; k < kTopK; ++k) {
      const auto at = static_cast<std::size_t>(token * kTopK + k);
      const int expert = order[static_cast<std::size_t>(k)];
      REQUIRE(result.chosen[at] == expert);
      REQUIRE(std::fabs(result.weights[at] - std::exp(of_token[expert]) / sum) < 1e-6);
      ++counts[static_cast<std::size_t>(expert)];
    }
  }
  CHECK(result.counts == counts);
}

TEST_CASE("sigmoid weights of the chosen experts sum to one", "[unit]") {
  const Routed result = routed(random_logits(), RouterScore::sigmoid);
  for (std::size_t token = 0; token < kTokens; ++token) {
    const float sum = std::accumulate(&result.weights[token * kTopK], &result.weights[token * kTopK] + kTopK, 0.0f);
    REQUIRE(std::fabs(sum - 1) < 1e-6f);
  }
}

TEST_CASE("rows of an expert keep the order of tokens, start at multiples of 128 and lead back to their tokens",
          "[unit]") {
  const Routed from = routed(random_logits(), RouterScore::softmax);
  std::vector<int> offsets(kExperts + 1), row_of(kTokens * kTopK);
  std::vector<int> source_row(static_cast<std::size_t>(most_rows(kTokens, kTopK, kExperts)), -7);
  REQUIRE(place({from.chosen.data(), from.counts.data(), kTokens, kExperts, kTopK, offsets.data(), row_of.data(),
                 source_row.data()},
                nullptr) == cudaSuccess);
  int row = 0;
  for (int e = 0; e < kExperts; ++e) {
    REQUIRE(offsets[static_cast<std::size_t>(e)] == row);
    for (int i = 0; i < kTokens * kTopK; ++i) {
      if (from.chosen[static_cast<std::size_t>(i)] != e) continue;
      REQUIRE(row_of[static_cast<std::size_t>(i)] == row);
      REQUIRE(source_row[static_cast<std::size_t>(row++)] == i / kTopK);
    }
    for (; row % 128 != 0; ++row) REQUIRE(source_row[static_cast<std::size_t>(row)] == -1);
  }
  CHECK(offsets.back() == row);
  CHECK(row <= static_cast<int>(source_row.size()));
}

TEST_CASE("unpermuting what was permuted gives every token back, times the sum of its weights", "[unit]") {
  constexpr int kHidden = 72, kRows = 128;
  std::vector<std::uint16_t> tokens(4 * kHidden);
  for (std::size_t i = 0; i < tokens.size(); ++i) tokens[i] = encode_bf16(static_cast<float>(i % 31) - 15);
  std::vector<int> source_row(kRows, -1);
  const std::vector<int> row_of{5, 3, 0, 9, 2, 8, 11, 64};
  for (std::size_t i = 0; i < row_of.size(); ++i)
    source_row[static_cast<std::size_t>(row_of[i])] = static_cast<int>(i / 2);
  const std::vector<float> weights{0.25f, 0.5f, 1, 1, 0.5f, 0, 0.125f, 0.125f};
  std::vector<std::uint16_t> rows(kRows * kHidden, 0xFFFF), back(tokens.size(), 0xFFFF);
  REQUIRE(permute({tokens.data(), source_row.data(), rows.data(), kRows, kHidden}, nullptr) == cudaSuccess);
  CHECK(std::all_of(rows.begin() + 65 * kHidden, rows.end(), [](std::uint16_t x) { return x == 0; }));
  REQUIRE(unpermute({rows.data(), row_of.data(), weights.data(), back.data(), 4, 2, kHidden}, nullptr) == cudaSuccess);
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    const std::size_t token = i / kHidden;
    REQUIRE(decode_bf16(back[i]) == decode_bf16(tokens[i]) * (weights[2 * token] + weights[2 * token + 1]));
  }
}

}  // namespace moeline::kernels
