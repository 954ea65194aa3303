// What do 8-bit floats and block scales mean, bit for bit?
//
//   E4M3   s eeee mmm, bias 7, largest 448, no infinity, NaN s1111111
//   E5M2   s eeeee mm, bias 15, largest 57344, infinities, NaN s11111xx
//   E8M0   2^(byte - 127), 255 is NaN; the scale of 32 neighbours along k: MXFP8, OCP Microscaling v1.0
// Encoding rounds to nearest, ties to even, and saturates; NaN stays NaN. The scale of a block of largest |x| = amax:
//   floor  2^(floor(log2 amax) - 8)                   OCP v1.0; what lies above 448 scales saturates      (-15 for
//   E5M2) ceil   smallest power with 448 scales >= amax     NVIDIA's recipe (arXiv 2506.08027); nothing saturates even
//   floor of amax rounded to the element's mantissa
// amax = 0 gives byte 0 and zeros; a NaN or an infinity gives byte 255 and NaNs. Oracle of every kernel: plain C++, no
// GPU.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#ifdef __CUDACC__
#define MOELINE_HOST_DEVICE __host__ __device__
#else
#define MOELINE_HOST_DEVICE
#endif

namespace moeline {

enum class Float8 { e4m3, e5m2 };
enum class ScaleRounding { floor, ceil, even };
inline constexpr std::size_t kScaleBlock = 32;

std::uint16_t encode_bf16(float value);
float decode_bf16(std::uint16_t bits);
std::uint8_t encode(Float8 format, float value);
float decode(Float8 format, std::uint8_t bits);
float decode_e8m0(std::uint8_t scale);
std::uint8_t scale_for(Float8 format, float amax, ScaleRounding rounding);
// 2^(127 - scale), exact in fp32: what elements are multiplied with before they are encoded. NaN for 255.
float inverse_scale(std::uint8_t scale);

// A matrix with one scale for every 32 neighbours of a row; the last block of a row may be short. Columns as blocks:
// the transposed matrix.
struct ScaledMatrix {
  Float8 format = Float8::e4m3;
  std::size_t rows = 0, columns = 0, block = kScaleBlock;
  std::vector<std::uint8_t> elements;  // row by row
  std::vector<std::uint8_t> scales;    // row by row, blocks_per_row() of each
  std::size_t blocks_per_row() const { return (columns + block - 1) / block; }
};
ScaledMatrix quantise(const float* values, std::size_t rows, std::size_t columns,
                      ScaleRounding rounding = ScaleRounding::ceil, Float8 format = Float8::e4m3);
std::vector<float> dequantise(const ScaledMatrix& matrix);

// Neighbouring blocks share the largest of their scales, and the difference goes into the elements' own exponents:
//   q' = encode(q 2^(e_i - e_max))
// Exact but for elements that fall below 2^-6 after the shift. `group` = 4 gives one scale for 128 elements.
struct Folded {
  ScaledMatrix matrix;  // block = 32 group
  int spread = 0;       // binades between the largest and the smallest scale of one group; blocks of zeros do not count
};
Folded fold(const ScaledMatrix& matrix, std::size_t group);
inline constexpr int kFoldableSpread = 10;  // above it the error of folding shows beside that of MXFP8 itself

// Where a scale lies in the layout that cuBLASLt and tcgen05.cp read: tiles of 128 rows x 4 blocks, 512 bytes each,
//   tile (row / 128, block / 4), in it (row % 32) 16 + (row % 128) / 32 * 4 + block % 4
// Rows are padded to 128 and blocks to 4.
MOELINE_HOST_DEVICE inline std::size_t tiled_scale_offset(std::size_t row, std::size_t block,
                                                          std::size_t blocks_per_row) {
  const std::size_t tile = row / 128 * ((blocks_per_row + 3) / 4) + block / 4;
  return tile * 512 + row % 32 * 16 + row % 128 / 32 * 4 + block % 4;
}
MOELINE_HOST_DEVICE inline std::size_t tiled_scale_bytes(std::size_t rows, std::size_t blocks_per_row) {
  return (rows + 127) / 128 * ((blocks_per_row + 3) / 4) * 512;
}
// Padding holds 0, that is 2^-127.
std::vector<std::uint8_t> tiled_scales(const ScaledMatrix& matrix);

}  // namespace moeline
