// Is a product right? Exact dot products in fp64, and how far rounding may take each of them.
//
//   value = sum a_i b_i,  magnitude = sum |a_i b_i|
//   |computed - value| <= k u_acc magnitude + u_out |value|           u: unit roundoff of accumulator and output
// The first term holds for sums of k products in any order (Higham, Accuracy and Stability, 3.1, k u << 1).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "validate/backend.hpp"

namespace moeline {

inline constexpr double kRoundoffFp32 = 0x1p-24, kRoundoffBf16 = 0x1p-8;  // bf16: half of 2^-7

struct Dot {
  double value = 0, magnitude = 0;
};
// Rows of A and of B transposed: k neighbours each.
Dot exact_dot(const float* a, const float* b, std::size_t k);

// Seeded operands as networks have them: normal, every column with its own spread (2^N(0, 1)). Never zeros or ones,
// whose products draw less power. The same on every machine.
std::vector<float> random_operand(std::size_t rows, std::size_t columns, std::uint64_t seed);

// Gathers elements one by one, then says whether they were right.
class Comparison {
 public:
  // `accumulated` terms were summed with unit roundoff `accumulator`, the result rounded with `output`.
  Comparison(double accumulated, double accumulator, double output, double tolerance)
      : terms_(accumulated * accumulator), output_(output), tolerance_(tolerance) {}
  void add(double computed, Dot exact, std::size_t index);
  Check result() const;

 private:
  double terms_, output_, tolerance_;
  double difference_ = 0, reference_ = 0;  // squares
  std::string problem_;                    // of the first element outside its bound
};

}  // namespace moeline
