// The grouped products of all generations, run on the CPU from their own source with all their threads, against fp64:
// experts without rows, with one tile and with several; columns that leave half a tile empty.
#include "unit/kernels/tensor_cores_on_cpu.hpp"

#define __CUDA_ARCH_FEAT_SM90_ALL
#define __CUDA_ARCH_FEAT_SM100_ALL
#define __CUDA_ARCH_FEAT_SM120_ALL
#include "validate/kernels/grouped_gemm_sm100.cu"
#include "validate/kernels/grouped_gemm_sm120.cu"
#include "validate/kernels/grouped_gemm_sm90_bf16.cu"
#include "validate/kernels/grouped_gemm_sm90_fp8.cu"
// after the kernels
#include <catch2/catch.hpp>
#include <random>

#include "validate/oracle.hpp"

namespace moeline::kernels {
namespace {

using Values = std::vector<float>;
using Kernel = cudaError_t (*)(const GroupedGemm&, cudaStream_t);

const std::vector<int> kOffsets{0, 0, 128, 128, 384, 384};
constexpr int kExperts = 5, kRows = 384, kWide = 384, kDeep = 256;

// Blocks of 32 along k spread over a few binades, rounded to bf16.
Values random_values(std::size_t count, unsigned seed) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> normal;
  Values values(count);
  for (std::size_t i = 0; i < count; ++i)
    values[i] = decode_bf16(encode_bf16(std::ldexp(normal(generator), static_cast<int>(i / 32 % 5))));
  return values;
}

Values transposed(const Values& values, std::size_t columns) {
  const std::size_t rows = values.size() / columns;
  Values result(values.size());
  for (std::size_t i = 0; i < values.size(); ++i) result[i % columns * rows + i / columns] = values[i];
  return result;
}

// A matrix [lines][k] as a product takes it, and its values after rounding.
struct Operand {
  std::vector<std::uint16_t> bf16;
  std::vector<std::uint8_t> fp8, tiled;
  std::vector<float> scales;
  Values rounded;

  const void* data() const { return fp8.empty() ? static_cast<const void*>(bf16.data()) : fp8.data(); }
  const void* scale_data() const { return scales.empty() ? static_cast<const void*>(tiled.data()) : scales.data(); }
};

// Scales of one matrix as [k / block][line].
void append_by_block(std::vector<float>& scales, const ScaledMatrix& matrix) {
  for (std::size_t block = 0; block < matrix.blocks_per_row(); ++block)
    for (std::size_t line = 0; line < matrix.rows; ++line)
      scales.push_back(decode_e8m0(matrix.scales[line * matrix.blocks_per_row() + block]));
}

Operand operand(const Values& values, std::size_t k, Operands format, bool folds_lines = false,
                std::size_t matrices = 1) {
  Operand made;
  const std::size_t lines = values.size() / k;
  if (format == Operands::bf16) {
    made.rounded = values;
    for (const float value : values) made.bf16.push_back(encode_bf16(value));
    return made;
  }
  ScaledMatrix matrix = moeline::quantise(values.data(), lines, k);
  if (format == Operands::mxfp8_folded) matrix = fold(matrix, folds_lines ? k / 32 : 4).matrix;
  made.rounded = moeline::dequantise(matrix), made.fp8 = matrix.elements;
  if (format == Operands::mxfp8) made.tiled = tiled_scales(matrix);
  if (format == Operands::mxfp8) return made;
  const std::size_t blocks = matrix.blocks_per_row(), each = lines / matrices;
  for (std::size_t i = 0; i < matrices; ++i) {
    ScaledMatrix part = matrix;
    part.rows = each;
    part.scales.assign(matrix.scales.begin() + static_cast<std::ptrdiff_t>(i * each * blocks),
                       matrix.scales.begin() + static_cast<std::ptrdiff_t>((i + 1) * each * blocks));
    append_by_block(made.scales, part);
  }
  return made;
}

GroupedGemm gemm_of(Product product, Operands format, const Operand& a, const Operand& b, void* d) {
  GroupedGemm gemm{.product = product,
                   .operands = format,
                   .a = a.data(),
                   .b = b.data(),
                   .scale_a = a.scale_data(),
                   .scale_b = b.scale_data(),
                   .d = d};
  gemm.offsets = kOffsets.data(), gemm.experts = kExperts, gemm.rows = kRows;
  return gemm;
}

// fprop, and dgrad of MXFP8, which lies alike: D [rows][n], both operands [line][k].
void check_rows(Kernel kernel, Product product, Operands format) {
  const on_cpu::InClustersOf blocks(kernel == grouped_gemm_sm120 ? 1 : 2);
  const Operand x = operand(random_values(kRows * kDeep, 1), kDeep, format);
  const Values weights = random_values(static_cast<std::size_t>(kExperts) * kWide * kDeep, 2);  // [expert][n][k]
  Operand w = operand(weights, kDeep, format, true, kExperts);
  if (product == Product::dgrad && format == Operands::bf16) {  // lies as [expert][k][n]
    w.bf16.clear();
    for (std::size_t e = 0; e < kExperts; ++e) {
      const auto first = weights.begin() + static_cast<std::ptrdiff_t>(e * kWide * kDeep);
      for (const float value : transposed(Values(first, first + kWide * kDeep), kDeep))
        w.bf16.push_back(encode_bf16(value));
    }
  }
  std::vector<std::uint16_t> d(kRows * kWide, 0xFFFF);
  GroupedGemm gemm = gemm_of(product, format, x, w, d.data());
  gemm.n = kWide, gemm.k = kDeep;
  REQUIRE(kernel(gemm, nullptr) == cudaSuccess);
  for (int e = 0; e < kExperts; ++e)
    for (int row = kOffsets[static_cast<std::size_t>(e)]; row < kOffsets[static_cast<std::size_t>(e) + 1]; ++row)
      for (int n = row % 5; n < kWide; n += 5) {
        const Dot exact = exact_dot(x.rounded.data() + static_cast<std::size_t>(row * kDeep),
                                    w.rounded.data() + static_cast<std::size_t>((e * kWide + n) * kDeep), kDeep);
        const double got = decode_bf16(d[static_cast<std::size_t>(row * kWide + n)]);
        INFO("row " << row << " column " << n);
        REQUIRE(std::fabs(got - exact.value) <= 0x1p-8 * std::fabs(exact.value) + 1e-5 * exact.magnitude);
      }
}

// wgrad: D [expert][m][n] over the expert's rows. bf16 lies as [rows][m], FP8 as [m][rows].
void check_sums(Kernel kernel, Operands format) {
  const on_cpu::InClustersOf blocks(kernel == grouped_gemm_sm120 ? 1 : 2);
  constexpr int kM = 256, kN = 384;
  const Values dy = random_values(kM * kRows, 3), x = random_values(kN * kRows, 4);  // [line][rows]
  Operand a = operand(dy, kRows, format), b = operand(x, kRows, format);
  if (format == Operands::bf16) {
    a = operand(transposed(dy, kRows), kM, format), b = operand(transposed(x, kRows), kN, format);
    a.rounded = dy, b.rounded = x;
  }
  Values d(static_cast<std::size_t>(kExperts) * kM * kN, NAN);
  GroupedGemm gemm = gemm_of(Product::wgrad, format, a, b, d.data());
  gemm.m = kM, gemm.n = kN;
  REQUIRE(kernel(gemm, nullptr) == cudaSuccess);
  for (int e = 0; e < kExperts; ++e) {
    const int first = kOffsets[static_cast<std::size_t>(e)], rows = kOffsets[static_cast<std::size_t>(e) + 1] - first;
    for (int m = 0; m < kM; m += 3)
      for (int n = m % 7; n < kN; n += 7) {
        const Dot exact =
            exact_dot(a.rounded.data() + static_cast<std::size_t>(m * kRows + first),
                      b.rounded.data() + static_cast<std::size_t>(n * kRows + first), static_cast<std::size_t>(rows));
        INFO("expert " << e << " row " << m << " column " << n);
        REQUIRE(std::fabs(d[static_cast<std::size_t>((e * kM + m) * kN + n)] - exact.value) <= 1e-5 * exact.magnitude);
      }
  }
}

}  // namespace

TEST_CASE("Hopper's bf16 products are right in all three orientations", "[unit]") {
  check_rows(grouped_gemm_sm90_bf16, Product::fprop, Operands::bf16);
  check_rows(grouped_gemm_sm90_bf16, Product::dgrad, Operands::bf16);
  check_sums(grouped_gemm_sm90_bf16, Operands::bf16);
}

TEST_CASE("Hopper's folded and exact MXFP8 products are right", "[unit]") {
  const Operands format = GENERATE(Operands::mxfp8_folded, Operands::mxfp8_exact);
  check_rows(grouped_gemm_sm90_fp8, Product::fprop, format);
  check_sums(grouped_gemm_sm90_fp8, format);
}

TEST_CASE("Blackwell's bf16 products are right in all three orientations", "[unit]") {
  check_rows(grouped_gemm_sm100, Product::fprop, Operands::bf16);
  check_rows(grouped_gemm_sm100, Product::dgrad, Operands::bf16);
  check_sums(grouped_gemm_sm100, Operands::bf16);
}

TEST_CASE("Blackwell's block-scaled products are right", "[unit]") {
  check_rows(grouped_gemm_sm100, Product::fprop, Operands::mxfp8);
  check_sums(grouped_gemm_sm100, Operands::mxfp8);
}

TEST_CASE("block-scaled products without tensor memory are right", "[unit]") {
  check_rows(grouped_gemm_sm120, Product::fprop, Operands::mxfp8);
  check_sums(grouped_gemm_sm120, Operands::mxfp8);
}

}  // namespace moeline::kernels
