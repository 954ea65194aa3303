// Which power of two scales a block, and what does it take to let neighbours share one?
//
//   block exponent   the smallest e with amax <= 448 * 2^(e - 127), stored as the byte e (E8M0); it never saturates.
//   bf16
//                    inputs have 7 bits of mantissa and 448 = 1.75 * 2^8, so this is integer arithmetic and exact
//   folding          four blocks take the largest of their exponents; an element of block i moves down by
//                    shift = e_max - e_i binades inside E4M3 itself. Exact unless it becomes subnormal there
//   rule             fold while the largest shift of any group is at most kFoldableSpread (codec.hpp); beyond that,
//                    small blocks lose bits that matter when the other operand is large where this one is small
// Measured against the product with unfolded scales (CPU, fp64; Gaussian to Student-t data): at most 4e-6; adversarial
// data with a spread of 10 binades 4e-4. docs/kernels.md.
#pragma once

#include <cstdint>

namespace moeline::kernels {

constexpr std::uint32_t kNaNExponent = 255;
constexpr int kVanishingShift = 19;  // 448 * 2^-19 rounds to 0 in E4M3

// From the magnitude bits (sign cleared) of a bf16: 8 bits of exponent, 7 of mantissa.
constexpr std::uint32_t block_exponent(std::uint32_t amax_bits) {
  const std::uint32_t exponent = amax_bits >> 7, mantissa = amax_bits & 0x7F;
  if (exponent == 255) return kNaNExponent;
  const std::uint32_t up = mantissa > 0x60 ? 1 : 0;  // above 1.75 the next power is needed
  return exponent + up > 8 ? exponent + up - 8 : 0;
}

// The bits of the float 2^(e - 127) and of its reciprocal; both are exact, as subnormals at the ends.
constexpr std::uint32_t scale_bits(std::uint32_t e) {
  if (e == kNaNExponent) return 0x7FC00000;
  return e == 0 ? 0x00400000 : e << 23;
}
constexpr std::uint32_t reciprocal_bits(std::uint32_t e) {
  if (e == kNaNExponent) return 0x7FC00000;
  return e == 254 ? 0x00400000 : (254 - e) << 23;
}

// Binades that a block moves down when it takes the exponent of its group.
constexpr int fold_shift(std::uint32_t e_max, std::uint32_t e) {
  const int shift = static_cast<int>(e_max) - static_cast<int>(e);
  return shift < kVanishingShift ? shift : kVanishingShift;
}
// The bits of the float that a block's elements are multiplied with: 2^-shift, or NaN with a NaN in the group.
constexpr std::uint32_t fold_bits(std::uint32_t e_max, std::uint32_t e) {
  if (e_max == kNaNExponent) return 0x7FC00000;
  return (127 - static_cast<std::uint32_t>(fold_shift(e_max, e))) << 23;
}
constexpr bool counts_for_spread(std::uint32_t e) { return e != 0; }  // an all-zero block loses nothing

}  // namespace moeline::kernels
