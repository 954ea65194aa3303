// How many layers of each kind does a stage hold? One number for each of ModelSpec::kinds.
//
// Kinds are the pairs of few attentions and few FFNs that a config can name, so that the numbers lie in place: a search
// makes millions of stages, and none of them touches the heap.
#pragma once

#include <algorithm>
#include <array>
#include <initializer_list>

#include "error.hpp"

namespace moeline {

class KindCounts {
 public:
  KindCounts() = default;
  KindCounts(std::initializer_list<int> counts) {
    assign(counts.size(), 0);
    std::copy(counts.begin(), counts.end(), begin());
  }
  void assign(std::size_t kinds, int count) {
    MOELINE_EXPECT(kinds <= kMost);
    size_ = kinds;
    counts_ = {};
    std::fill(begin(), end(), count);
  }

  std::size_t size() const { return size_; }
  int& operator[](std::size_t kind) { return counts_[kind]; }
  int operator[](std::size_t kind) const { return counts_[kind]; }
  int* begin() { return counts_.data(); }
  int* end() { return counts_.data() + size_; }
  const int* begin() const { return counts_.data(); }
  const int* end() const { return counts_.data() + size_; }

  bool operator==(const KindCounts&) const = default;

 private:
  static constexpr std::size_t kMost = 16;
  std::size_t size_ = 0;
  std::array<int, kMost> counts_{};
};

}  // namespace moeline
