// Which experts do T tokens load, when popularity is even or follows a power law?
//
//   balanced     token i chooses experts (i + j ceil(E/k)) mod E, j < k
//   power law    popularity of E experts drawn from x^-a on [1, 0.8 T] ([0.01, 2] if T k <= E), scaled to T k rows, at
//   most
//                T each; what rounding and the cap leave over goes one by one to the least loaded expert of every rank
// The hottest rank is swapped to the front: it is the one a step waits for. A draw is a sample, not an expectation;
// average over several seeds. The same seed gives the same loads on every machine. Source: the load generator of NVIDIA
// aiconfigurator's MoE benchmarks (collector/helper.py@1112097), read, not copied.
#pragma once

#include <cstdint>
#include <vector>

#include "spec/popularity.hpp"

namespace moeline {

// T tokens of a whole expert-parallel group; ranks hold equal shares of the experts, in order.
struct TokenBatch {
  std::int64_t tokens = 0, experts = 0, top_k = 0, ranks = 1;
  std::int64_t local_experts() const { return experts / ranks; }
};

using Loads = std::vector<std::int64_t>;  // rows of every expert, rank by rank

// Both sum to T k.
Loads balanced_loads(const TokenBatch& batch);
Loads power_law_loads(const TokenBatch& batch, double exponent, Random& random);

// Tokens that chose the same experts, counted once: a batch has at most about E kinds however many tokens it has.
struct TokenKinds {
  std::int64_t top_k = 0;
  std::vector<std::int64_t> tokens;   // of each kind
  std::vector<std::int64_t> experts;  // top_k for each kind
};
TokenKinds balanced_kinds(const TokenBatch& batch);
// Experts in order of falling load fill the first choice of every token, then the second, ...
TokenKinds kinds_of(const TokenBatch& batch, const Loads& loads);

// What a group-limited router makes of the same wishes: it keeps the groups with most wished experts (two count), then
// takes k experts there, wished ones first; where wishes tie or run out the lowest number wins.
TokenKinds group_limited(const TokenBatch& batch, const TokenKinds& wishes, std::int64_t groups, std::int64_t kept);

Loads loads_of(const TokenKinds& kinds, std::int64_t experts);
std::int64_t tokens_at_first_rank(const TokenKinds& kinds, std::int64_t local_experts);

}  // namespace moeline
