#include "validate/codec.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

namespace moeline {
namespace {

struct Format {
  int mantissa, bias, largest_exponent;
  float largest;
  std::uint8_t nan;
};
constexpr Format kE4m3{3, 7, 8, 448, 0x7f}, kE5m2{2, 15, 15, 57344, 0x7f};

const Format& of(Float8 format) { return format == Float8::e4m3 ? kE4m3 : kE5m2; }

// exponent of a positive finite float, subnormals included
int exponent(float value) { return std::ilogb(value); }

// NaN if any is.
float largest_magnitude(const float* begin, const float* end) {
  float largest = 0;
  for (const float* value = begin; value != end; ++value) {
    if (std::isnan(*value)) return *value;
    largest = std::max(largest, std::fabs(*value));
  }
  return largest;
}

std::uint8_t biased(int power) { return static_cast<std::uint8_t>(std::clamp(power, -127, 127) + 127); }

}  // namespace

std::uint16_t encode_bf16(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  if (std::isnan(value)) return 0x7fff;
  return static_cast<std::uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

float decode_bf16(std::uint16_t bits) { return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16); }

std::uint8_t encode(Float8 format, float value) {
  const Format& f = of(format);
  if (std::isnan(value)) return f.nan;
  const auto sign = static_cast<std::uint8_t>(std::signbit(value) ? 0x80 : 0);
  const float magnitude = std::min(std::fabs(value), f.largest);
  const int lowest = 1 - f.bias;
  const int power = std::max(magnitude > 0 ? exponent(magnitude) : lowest, lowest);
  // In units of the last place: a whole number after rounding, which may carry into the exponent. That is what the bit
  // pattern does too: its value grows by one for every step of the last place.
  const auto units = static_cast<int>(std::nearbyint(std::ldexp(magnitude, f.mantissa - power)));
  return static_cast<std::uint8_t>(sign | (units + (power - lowest) * (1 << f.mantissa)));
}

float decode(Float8 format, std::uint8_t bits) {
  const Format& f = of(format);
  const float sign = (bits & 0x80) != 0 ? -1.0F : 1.0F;
  const int body = bits & 0x7f, field = body >> f.mantissa, fraction = body & ((1 << f.mantissa) - 1);
  if (format == Float8::e4m3 ? body == 0x7f : body > 0x7c) return std::numeric_limits<float>::quiet_NaN();
  if (format == Float8::e5m2 && body == 0x7c) return sign * std::numeric_limits<float>::infinity();
  const int significand = field == 0 ? fraction : fraction + (1 << f.mantissa);
  return sign * std::ldexp(static_cast<float>(significand), std::max(field, 1) - f.bias - f.mantissa);
}

float decode_e8m0(std::uint8_t scale) {
  return scale == 255 ? std::numeric_limits<float>::quiet_NaN() : std::ldexp(1.0F, scale - 127);
}

float inverse_scale(std::uint8_t scale) {
  return scale == 255 ? std::numeric_limits<float>::quiet_NaN() : std::ldexp(1.0F, 127 - scale);
}

std::uint8_t scale_for(Float8 format, float amax, ScaleRounding rounding) {
  const Format& f = of(format);
  if (!std::isfinite(amax)) return 255;
  if (amax == 0) return 0;
  if (rounding == ScaleRounding::floor) return biased(exponent(amax) - f.largest_exponent);
  if (rounding == ScaleRounding::even) {
    const int power = exponent(amax);
    const double rounded = std::nearbyint(std::ldexp(static_cast<double>(amax), f.mantissa - power));
    return biased((rounded >= std::ldexp(1.0, f.mantissa + 1) ? power + 1 : power) - f.largest_exponent);
  }
  const double quotient = static_cast<double>(amax) / f.largest;  // a power of two divides without rounding
  const int power = std::ilogb(quotient);
  return biased(std::ldexp(static_cast<double>(f.largest), power) >= amax ? power : power + 1);
}

ScaledMatrix quantise(const float* values, std::size_t rows, std::size_t columns, ScaleRounding rounding,
                      Float8 format) {
  ScaledMatrix matrix{format, rows, columns, kScaleBlock, std::vector<std::uint8_t>(rows * columns), {}};
  matrix.scales.reserve(rows * matrix.blocks_per_row());
  for (std::size_t row = 0; row < rows; ++row) {
    for (std::size_t first = 0; first < columns; first += kScaleBlock) {
      const std::size_t begin = row * columns + first, end = begin + std::min(kScaleBlock, columns - first);
      const std::uint8_t scale = scale_for(format, largest_magnitude(values + begin, values + end), rounding);
      matrix.scales.push_back(scale);
      const float inverse = inverse_scale(scale);
      for (std::size_t i = begin; i < end; ++i) matrix.elements[i] = encode(format, values[i] * inverse);
    }
  }
  return matrix;
}

std::vector<float> dequantise(const ScaledMatrix& matrix) {
  std::vector<float> values(matrix.elements.size());
  for (std::size_t i = 0; i < values.size(); ++i) {
    const std::size_t row = i / matrix.columns, block = i % matrix.columns / matrix.block;
    values[i] =
        decode(matrix.format, matrix.elements[i]) * decode_e8m0(matrix.scales[row * matrix.blocks_per_row() + block]);
  }
  return values;
}

Folded fold(const ScaledMatrix& from, std::size_t group) {
  Folded folded{{from.format, from.rows, from.columns, from.block * group, from.elements, {}}, 0};
  const std::size_t blocks = from.blocks_per_row();
  for (std::size_t row = 0; row < from.rows; ++row) {
    for (std::size_t first = 0; first < blocks; first += group) {
      const auto* begin = from.scales.data() + row * blocks + first;
      const auto* end = begin + std::min(group, blocks - first);
      const std::uint8_t largest = *std::max_element(begin, end);
      folded.matrix.scales.push_back(largest);
      for (const auto* scale = begin; scale != end; ++scale) {
        if (*scale > 0) folded.spread = std::max(folded.spread, largest - *scale);
        const std::size_t start = (first + static_cast<std::size_t>(scale - begin)) * from.block;
        for (std::size_t k = start; k < std::min(start + from.block, from.columns); ++k) {
          std::uint8_t& element = folded.matrix.elements[row * from.columns + k];
          const float shifted = std::ldexp(decode(from.format, element), *scale - largest);
          element = encode(from.format, largest == 255 ? decode_e8m0(255) : shifted);
        }
      }
    }
  }
  return folded;
}

std::vector<std::uint8_t> tiled_scales(const ScaledMatrix& matrix) {
  const std::size_t blocks = matrix.blocks_per_row();
  std::vector<std::uint8_t> tiled(tiled_scale_bytes(matrix.rows, blocks), 0);
  for (std::size_t row = 0; row < matrix.rows; ++row) {
    for (std::size_t block = 0; block < blocks; ++block) {
      tiled[tiled_scale_offset(row, block, blocks)] = matrix.scales[row * blocks + block];
    }
  }
  return tiled;
}

}  // namespace moeline
