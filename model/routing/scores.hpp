// What do a router's scores choose, once every expert has a price?
//
//   chosen of token i    the k experts with the largest s_ij - beta_j   (ties: the lower number)
//   alpha_i              the (k+1)-th largest of them: what the next expert would have had to beat
// A balancer is a way to choose the n prices beta; the bias of DeepSeek-V3 is -beta. Sources: Jianlin Su, "MoE tour 6",
// kexue.fm/archives/11619, sections 1-3.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

namespace moeline {

// Row-major: token by token. Must outlive its users.
struct RouterScores {
  std::span<const float> values;
  std::size_t experts = 0, top_k = 0;
  std::size_t tokens() const { return values.size() / experts; }
  std::span<const float> of(std::size_t i) const { return values.subspan(i * experts, experts); }
  double quota() const {  // rows of every expert when balanced
    return static_cast<double>(tokens() * top_k) / static_cast<double>(experts);
  }
};

// Runs work(0) ... work(count - 1), in any order and on any threads; how is the caller's choice.
using ForBlocks = std::function<void(std::size_t count, const std::function<void(std::size_t)>& work)>;
inline void one_after_another(std::size_t count, const std::function<void(std::size_t)>& work) {
  for (std::size_t i = 0; i < count; ++i) work(i);
}
// The same number for any number of threads, so that results do not depend on them.
inline constexpr std::size_t kTokenBlocks = 32;
struct TokenRange {
  std::size_t first = 0, last = 0;
};
inline TokenRange token_block(const RouterScores& scores, std::size_t block) {
  return {scores.tokens() * block / kTokenBlocks, scores.tokens() * (block + 1) / kTokenBlocks};
}

struct RoutedScores {
  std::vector<double> loads;  // rows of every expert
  double score = 0;           // sum of the chosen scores
  double dual = 0;  // sum of max(0, s - alpha - beta) + k sum alpha + quota sum beta: no balanced choice beats it
};
RoutedScores route(const RouterScores& scores, std::span<const float> prices,
                   const ForBlocks& blocks = one_after_another);

// Score of a choice with every load within one of the quota: the choice at these prices, with rows moved from the
// experts that have too many, those that lose least first. Below the optimum, as `dual` is above.
double balanced_score(const RouterScores& scores, std::span<const float> prices,
                      const ForBlocks& blocks = one_after_another);

}  // namespace moeline
