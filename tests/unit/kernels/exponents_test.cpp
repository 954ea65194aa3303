// Block exponents on every bf16, against their definition; folding, against arithmetic in double.
#include "validate/kernels/exponents.hpp"

#include <bit>
#include <catch2/catch.hpp>
#include <cmath>

namespace moeline::kernels {
namespace {

double value(std::uint32_t bf16) { return std::bit_cast<float>(bf16 << 16); }

}  // namespace

TEST_CASE("the block exponent is the smallest that keeps the largest element within E4M3, for every bf16", "[unit]") {
  for (std::uint32_t bits = 0; bits < 0x7F80; ++bits) {
    const int e = static_cast<int>(block_exponent(bits));
    REQUIRE(value(bits) <= std::ldexp(448.0, e - 127));
    REQUIRE((e == 0 || value(bits) > std::ldexp(448.0, e - 1 - 127)));
  }
  CHECK(block_exponent(0x7F80) == kNaNExponent);  // infinity
  CHECK(block_exponent(0x7FC0) == kNaNExponent);
  CHECK(block_exponent(0x43E0) == 127);  // 448
  CHECK(block_exponent(0x43E1) == 128);  // 450
}

TEST_CASE("a scale times its reciprocal is one, for every exponent that a block can have", "[unit]") {
  for (std::uint32_t e = 0; e < kNaNExponent; ++e) {
    const double scale = std::bit_cast<float>(scale_bits(e)), reciprocal = std::bit_cast<float>(reciprocal_bits(e));
    REQUIRE(scale == std::ldexp(1.0, static_cast<int>(e) - 127));
    REQUIRE(scale * reciprocal == 1);
  }
  CHECK(std::isnan(std::bit_cast<float>(scale_bits(kNaNExponent))));
}

TEST_CASE("folding moves a block down by the binades between its exponent and its group's", "[unit]") {
  CHECK(fold_shift(130, 127) == 3);
  CHECK(fold_shift(127, 127) == 0);
  CHECK(fold_shift(200, 0) == kVanishingShift);
  CHECK(std::bit_cast<float>(fold_bits(130, 120)) == std::ldexp(1.0f, -10));
  CHECK(std::isnan(std::bit_cast<float>(fold_bits(kNaNExponent, 120))));
  CHECK(std::ldexp(448.0, -kVanishingShift) < std::ldexp(1.0, -10));  // below half the smallest E4M3, 2^-9
  CHECK(std::ldexp(448.0, -kVanishingShift + 1) > std::ldexp(1.0, -10));
}

}  // namespace moeline::kernels
