#include "validate/codec.hpp"

#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <set>

#if __has_include(<cuda_fp8.h>)
#include <cuda_fp8.h>
#endif

#include "validate/oracle.hpp"

using namespace moeline;
using Catch::WithinRel;

namespace {

// || a - b || / || b ||
double distance(const std::vector<float>& a, const std::vector<float>& b) {
  double difference = 0, norm = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    difference += (static_cast<double>(a[i]) - b[i]) * (static_cast<double>(a[i]) - b[i]);
    norm += static_cast<double>(b[i]) * b[i];
  }
  return std::sqrt(difference / norm);
}

}  // namespace

TEST_CASE("every 8-bit float is its own encoding", "[unit]") {
  for (const Float8 format : {Float8::e4m3, Float8::e5m2}) {
    for (int i = 0; i < 256; ++i) {
      const auto bits = static_cast<std::uint8_t>(i);
      const float value = decode(format, bits);
      if (std::isfinite(value)) CHECK(encode(format, value) == bits);
    }
  }
  CHECK(decode(Float8::e4m3, 0x7e) == 448);
  CHECK(decode(Float8::e4m3, 0x01) == 0x1p-9F);
  CHECK(decode(Float8::e5m2, 0x7b) == 57344);
  CHECK(std::isnan(decode(Float8::e4m3, 0xff)));
}

TEST_CASE("8-bit floats round to nearest even and saturate", "[unit]") {
  CHECK(encode(Float8::e4m3, 17) ==
        encode(Float8::e4m3, 16));  // 16 and 18 are neighbours: the tie goes to the even one
  CHECK(encode(Float8::e4m3, 19) == encode(Float8::e4m3, 20));
  CHECK(encode(Float8::e4m3, 1e6F) == 0x7e);
  CHECK(encode(Float8::e5m2, -std::numeric_limits<float>::infinity()) == 0xfb);
  CHECK(encode(Float8::e4m3, 0x1p-10F) == 0);  // half of the smallest, to even
  CHECK(encode(Float8::e4m3, -0.0F) == 0x80);
}

TEST_CASE("the scale of a block by three roundings", "[unit]") {
  const auto scale = [](float amax, ScaleRounding rounding) { return scale_for(Float8::e4m3, amax, rounding) - 127; };
  CHECK(scale(448, ScaleRounding::ceil) == 0);
  CHECK(scale(450, ScaleRounding::ceil) == 1);   // 450 > 448
  CHECK(scale(450, ScaleRounding::floor) == 0);  // floor(log2 450) - 8
  CHECK(scale(470, ScaleRounding::even) == 0);   // 470 rounds to 480 = 1.875 x 2^8
  CHECK(scale(500, ScaleRounding::even) == 1);   // 500 rounds to 512
  CHECK(scale_for(Float8::e4m3, 0, ScaleRounding::ceil) == 0);
  CHECK(scale_for(Float8::e4m3, NAN, ScaleRounding::ceil) == 255);
  CHECK(scale_for(Float8::e5m2, 57344, ScaleRounding::ceil) == 127);
  const std::vector<float> spoilt{1, NAN, 2};
  CHECK(quantise(spoilt.data(), 1, 3).scales == std::vector<std::uint8_t>{255});
}

TEST_CASE("a block whose largest element is 448 times a power of two survives unchanged", "[unit]") {
  std::vector<float> values(2 * 40);  // the second block of a row is short
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i % 8) * 0x1p-20F;
  values[3] = -448 * 0x1p-22F;
  const ScaledMatrix matrix = quantise(values.data(), 2, 40);
  CHECK(matrix.blocks_per_row() == 2);
  CHECK(dequantise(matrix) == values);
}

TEST_CASE("the tiled scale layout holds every scale once", "[unit]") {
  const std::size_t rows = 200, blocks = 7;  // padded to 256 x 8
  CHECK(tiled_scale_bytes(rows, blocks) == 256 * 8);
  std::set<std::size_t> places;
  for (std::size_t row = 0; row < rows; ++row) {
    for (std::size_t block = 0; block < blocks; ++block) {
      const std::size_t at = tiled_scale_offset(row, block, blocks);
      CHECK(at < 256 * 8);
      places.insert(at);
    }
  }
  CHECK(places.size() == rows * blocks);
  CHECK(tiled_scale_offset(33, 1, 4) == 1 * 16 + 1 * 4 + 1);  // row 33: second quarter, its row 1
  CHECK(tiled_scale_offset(0, 4, 8) == 512);                  // the next tile along k
  CHECK(tiled_scale_offset(128, 0, 8) == 2 * 512);            // the next tile of rows
}

TEST_CASE("folding four scales into one costs less than a thousandth of what MXFP8 itself costs", "[unit]") {
  const std::size_t rows = 32, columns = 1024;
  const std::vector<float> values = random_operand(rows, columns, 3);
  const ScaledMatrix matrix = quantise(values.data(), rows, columns);
  const Folded folded = fold(matrix, 4);
  CHECK(folded.matrix.blocks_per_row() == 8);  // 1024 / 128
  CHECK(folded.spread <= kFoldableSpread);
  const std::vector<float> exact = dequantise(matrix);
  const double own = distance(exact, values);
  CHECK(own > 0.02);  // 3 bits of mantissa: a relative step of 1/8, uniform within it 1/8/sqrt(12) at most
  CHECK(own < 0.036);
  CHECK(distance(dequantise(folded.matrix), exact) < 1e-3 * own);
}

TEST_CASE("a dot product's bound passes what rounding explains, and nothing else", "[unit]") {
  const std::vector<float> a = random_operand(1, 512, 5), b = random_operand(1, 512, 6);
  const Dot exact = exact_dot(a.data(), b.data(), 512);
  float sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  const auto check = [&](double computed) {
    Comparison comparison(512, kRoundoffFp32, 0, 1e-3);
    comparison.add(computed, exact, 0);
    return comparison.result().passed;
  };
  CHECK(check(static_cast<double>(sum)));
  CHECK_FALSE(check(sum + 1e-3 * exact.magnitude));
  CHECK_FALSE(check(NAN));
}

#if __has_include(<cuda_fp8.h>)
TEST_CASE("the codec agrees with cuda_fp8.h on every bf16 number", "[unit]") {
  std::size_t different = 0;
  for (int i = 0; i < 65536; ++i) {
    const float x = decode_bf16(static_cast<std::uint16_t>(i));
    for (const int shift : {-20, -7, 0, 5, 30}) {
      const float value = std::ldexp(x, shift);
      different += encode(Float8::e4m3, value) != __nv_cvt_float_to_fp8(value, __NV_SATFINITE, __NV_E4M3);
      different += encode(Float8::e5m2, value) != __nv_cvt_float_to_fp8(value, __NV_SATFINITE, __NV_E5M2);
    }
    // The expression of Transformer Engine, amax (1/448) in fp32 and rounded up, is the exact one for every bf16
    // maximum; an infinity saturates there and is no number here.
    if (x >= 0 && std::isfinite(x)) {
      different += scale_for(Float8::e4m3, x, ScaleRounding::ceil) !=
                   __nv_cvt_float_to_e8m0(x * (1.0F / 448.0F), __NV_SATFINITE, cudaRoundPosInf);
    }
  }
  CHECK(different == 0);
}
#endif
