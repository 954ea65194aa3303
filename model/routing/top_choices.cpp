#include "routing/top_choices.hpp"

#include <algorithm>
#include <bit>
#include <limits>

#include "error.hpp"

namespace moeline {
namespace {

constexpr float kLowest = -std::numeric_limits<float>::infinity();
constexpr std::size_t kVector = 8;  // candidates are compared in whole vectors

// The (k+1)-th largest, by counting what is larger than each.
float reached_by(std::span<const float> values, std::int32_t top_k) {
  float least = -kLowest;
  for (const float value : values) {
    std::int32_t larger = 0;
    for (const float other : values) larger += other > value ? 1 : 0;
    const float kept = larger <= top_k ? value : least;
    least = kept < least ? kept : least;
  }
  return least;
}

}  // namespace

TopChoices::TopChoices(std::size_t experts, std::size_t top_k)
    : top_k_(top_k),
      lanes_(std::bit_ceil(std::max<std::size_t>(16, (top_k + 1) * 3 / 2))),
      priced_((experts + lanes_ - 1) / lanes_ * lanes_, kLowest),
      largest_(lanes_),
      candidate_(priced_.size() + kVector),
      value_(priced_.size() + 1, kLowest),
      candidate_expert_(candidate_.size()),
      expert_(value_.size()) {
  MOELINE_EXPECT(top_k >= 1 && top_k <= experts);
}

void TopChoices::find(std::span<const float> row, std::span<const float> prices) {
  for (std::size_t j = 0; j < row.size(); ++j) priced_[j] = row[j] - prices[j];
  std::copy_n(priced_.begin(), lanes_, largest_.begin());
  for (std::size_t first = lanes_; first < priced_.size(); first += lanes_) {
    const float* const values = &priced_[first];
    float* const largest = largest_.data();
    for (std::size_t lane = 0; lane < lanes_; ++lane) largest[lane] = std::max(values[lane], largest[lane]);
  }
  place(gather(reached_by(largest_, static_cast<std::int32_t>(top_k_))));
}

std::size_t TopChoices::gather(float least) {
  std::size_t found = 0;
  std::int32_t* const expert = candidate_expert_.data();
  for (std::size_t lane = 0; lane < lanes_; ++lane) {
    if (largest_[lane] < least) continue;
    for (std::size_t j = lane; j < priced_.size(); j += lanes_) {
      expert[found] = static_cast<std::int32_t>(j);
      found += priced_[j] >= least ? 1 : 0;
    }
  }
  for (std::size_t i = 0; i < found; ++i) candidate_[i] = priced_[static_cast<std::size_t>(expert[i])];
  std::fill_n(&candidate_[found], kVector, kLowest);
  return found;
}

void TopChoices::place(std::size_t candidates) {
  const std::size_t whole = (candidates + kVector - 1) / kVector * kVector;
  for (std::size_t i = 0; i < candidates; ++i) {
    const float value = candidate_[i];
    const std::int32_t expert = candidate_expert_[i];
    std::int32_t before = 0;
    for (std::size_t other = 0; other < whole; ++other) {
      before += static_cast<int>(candidate_[other] > value) |
                (static_cast<int>(candidate_[other] == value) & static_cast<int>(candidate_expert_[other] < expert));
    }
    value_[static_cast<std::size_t>(before)] = value;
    expert_[static_cast<std::size_t>(before)] = expert;
  }
}

}  // namespace moeline
