// How much does guessing ahead gain? Closed forms of speculative decoding, in units of one verification.
//
//   one after the other   E = 1 + sum of a_1..a_i tokens a round; speed-up E / (K c + v)      (Leviathan et al. 2023)
//   side by side          [p E_hit + (1-p) E_miss] / [p^b max(1, T_p) + (1-p^b) (1 + T_b)]    (Kumar, Dao, May 2026)
//   cache                 an outcome with F tokens cached is missed with F^-r; F ~ P(outcome)^(1/(1+r)) is best
// The second drafts for many outcomes while the target verifies, and is spared drafting where the true one was among them.
// A batch is spared only if all its sequences are. Switch, roundings and the two-state form: docs/theory/speculation.md.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "spec/llm.hpp"
#include "units.hpp"

namespace moeline {

// Probability that a drafted token is kept, given that those before it were; the last entry holds for all positions after.
struct Acceptance {
  std::vector<double> by_position{0.7};
  double at(std::int64_t position) const;
};

// Of a verification of K drafted tokens, by number of tokens kept: 0 .. K.
std::vector<double> outcomes(const Acceptance& acceptance, std::int64_t drafted);
// Kept tokens and the one that verification itself yields.
double tokens_per_round(const Acceptance& acceptance, std::int64_t drafted);

// In plain decoding steps: of drafting one token, and of verifying all.
double sequential_speedup(double tokens, std::int64_t drafted, double draft, double verify = 1);
// Arithmetic of a round per token kept, over that of plain decoding; `draft` is one draft token's share of a target token's.
double operations_factor(double tokens, std::int64_t drafted, double draft);

// Drafting beside verification. Times in verifications; probabilities of one sequence.
struct OverlappedRound {
  double hit = 0;                         // the round's speculation came from the cache
  double tokens_hit = 1, tokens_miss = 1;
  double ahead = 0;                       // drafting for all outcomes
  double backup = 0;                      // drafting after a miss
  double batch = 1;
};
double tokens_per_verification(const OverlappedRound& round);
// Share of rounds that hit when the chance depends on where the speculation under verification came from.
double steady_hit(double after_hit, double after_miss);
// Batch from which tokens drawn at random are the better backup: none where drafting anew always is.
std::optional<double> backup_switch(const OverlappedRound& drafted_anew, double tokens_at_random);

// Bonus tokens cached for every number of kept tokens.
struct FanOut {
  std::vector<double> slots;
  double hit = 0;
  double total() const;
};
double cache_hit(std::span<const double> outcomes, std::span<const double> slots, double exponent);
FanOut best_fan_out(std::span<const double> outcomes, double exponent, double budget);   // real slots, less than one is none
FanOut whole_fan_out(std::span<const double> outcomes, double exponent, std::int64_t budget);  // the best in whole slots
FanOut even_fan_out(std::span<const double> outcomes, double exponent, double budget);

// Draft probabilities of the `cached` most likely tokens are scaled by `scale` <= 1, so that rejections land on them more
// often. One position; the drafted token itself needs no slot.
struct SamplingTrade {
  double acceptance = 0, hit = 0;
};
SamplingTrade scaled_sampling(std::span<const double> target, std::span<const double> draft, std::size_t cached,
                              double scale);

// Tokens that can be drafted ahead for `branches` within one verification.
std::int64_t most_drafted(Seconds verify, Seconds tree_step);

// One round's traffic between target and draft; logits are needed to sample, not for greedy decoding.
struct RoundMessages {
  Bytes to_draft, to_target;
};
RoundMessages round_messages(double batch, std::int64_t drafted, double blocks_per_sequence, std::int64_t vocabulary, bool logits);

// Consecutive tokens of one sequence share experts: as many independent tokens would touch what `batch` sequences of
// `tokens` each do. `correlation` is the share of the independent estimate that four consecutive tokens touch.
double independent_tokens(const MoeFfn& moe, double batch, double tokens, double correlation);
// Tokens until `share` of the experts are touched.
double tokens_touching(const MoeFfn& moe, double share);

}  // namespace moeline
