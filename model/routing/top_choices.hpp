// Which k + 1 of a token's n priced scores are largest? A few hundred cycles for 9 of 256, nearly all without a branch.
//
//   1. the scores in lanes, 2 (k + 1) of them or more: score j in lane j mod lanes; the largest of every lane
//   2. the (k + 1)-th largest of those is reached by k + 1 scores at least, so nothing below it is among the best
//   3. lanes that reach it give what reaches it: little more than k + 1 candidates
//   4. the place of a candidate is the number of candidates before it (larger, or equal with a lower number)
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace moeline {

class TopChoices {
 public:
  TopChoices(std::size_t experts, std::size_t top_k);
  void find(std::span<const float> row, std::span<const float> prices);
  std::span<const std::int32_t> chosen() const { return {expert_.data(), top_k_}; }  // the best first
  float cut_off() const { return value_[top_k_]; }  // alpha; -infinity where k = n
  float value(std::size_t place) const { return value_[place]; }

 private:
  std::size_t gather(float least);  // how many
  void place(std::size_t candidates);

  std::size_t top_k_, lanes_;
  std::vector<float> priced_, largest_;  // padded to whole lanes with -infinity
  std::vector<float> candidate_, value_;
  std::vector<std::int32_t> candidate_expert_, expert_;
};

}  // namespace moeline
