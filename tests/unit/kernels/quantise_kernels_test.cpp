// The quantising kernels, run on the CPU from their own source, against the codec: bit for bit.
#include "unit/kernels/on_cpu.hpp"

#include "validate/kernels/quantise.cu"
// after the kernels
#include <catch2/catch.hpp>
#include <random>

#include "validate/oracle.hpp"

namespace moeline::kernels {
namespace {

using Values = std::vector<float>;
using Bf16 = std::vector<std::uint16_t>;

// Blocks spread over many binades, a zero block, one that is exactly 448 at most, and, where asked for, NaN and
// infinity.
Values awkward_matrix(std::size_t rows, std::size_t columns, bool with_nan) {
  std::mt19937 generator(3);
  std::normal_distribution<float> normal;
  Values values(rows * columns);
  for (std::size_t i = 0; i < values.size(); ++i) {
    const int binade = static_cast<int>(i / 32 % 7) * 3 - 9;
    values[i] = decode_bf16(encode_bf16(std::ldexp(normal(generator), binade)));
  }
  std::fill_n(values.begin(), 64, 0.0f);
  for (std::size_t i = 64; i < 96; ++i) values[i] = 448;
  values[columns + 5] = 1e-39f;
  values[columns * 3 + 40] = decode_bf16(encode_bf16(3e38f));
  for (float& value : values) value = decode_bf16(encode_bf16(value));
  if (with_nan) values[columns * 40 + 7] = NAN, values[columns * 41 + 70] = INFINITY;
  return values;
}

Bf16 in_bf16(const Values& values) {
  Bf16 bits;
  for (float value : values) bits.push_back(encode_bf16(value));
  return bits;
}

Values transposed(const Values& values, std::size_t columns) {
  const std::size_t rows = values.size() / columns;
  Values result(values.size());
  for (std::size_t i = 0; i < values.size(); ++i) result[i % columns * rows + i / columns] = values[i];
  return result;
}

struct Copy {
  explicit Copy(std::size_t elements, ScaleForm form)
      : values(elements, 0x55), scales(elements / 32 * (form == ScaleForm::block ? 4 : 1), 0x55) {}
  QuantisedCopy target() { return {values.data(), scales.data()}; }
  float scale(std::size_t i) const {
    float value;
    std::memcpy(&value, &scales[4 * i], 4);
    return value;
  }
  std::vector<std::uint8_t> values, scales;
};

bool same(float a, float b) { return a == b || (std::isnan(a) && std::isnan(b)); }

// Floats stand [group along k][row].
void check_float_scales(const Copy& copy, const ScaledMatrix& expected) {
  const std::size_t groups = expected.blocks_per_row();
  for (std::size_t row = 0; row < expected.rows; ++row)
    for (std::size_t g = 0; g < groups; ++g)
      REQUIRE(same(copy.scale(g * expected.rows + row), decode_e8m0(expected.scales[row * groups + g])));
}

void check_copy(const Copy& copy, const Values& values, std::size_t columns, ScaleForm form) {
  const ScaledMatrix plain = moeline::quantise(values.data(), values.size() / columns, columns);
  if (form == ScaleForm::folded) {
    const ScaledMatrix folded = fold(plain, 4).matrix;
    CHECK(copy.values == folded.elements);
    check_float_scales(copy, folded);
    return;
  }
  CHECK(copy.values == plain.elements);
  if (form == ScaleForm::tiled) CHECK(copy.scales == tiled_scales(plain));
  if (form == ScaleForm::block) check_float_scales(copy, plain);
}

}  // namespace

TEST_CASE("both copies of a matrix are the codec's, in every layout of scales", "[unit]") {
  const std::size_t rows = 256, columns = 384;
  const ScaleForm form = GENERATE(ScaleForm::tiled, ScaleForm::folded, ScaleForm::block);
  const Values values = awkward_matrix(rows, columns, form != ScaleForm::block);
  const Bf16 input = in_bf16(values);
  Copy row_wise(values.size(), form), column_wise(values.size(), form);
  int largest_shift = 0;
  Quantise pass{
      .form = form, .input = input.data(), .rows = static_cast<int>(rows), .columns = static_cast<int>(columns)};
  pass.row_wise = row_wise.target(), pass.column_wise = column_wise.target(), pass.largest_shift = &largest_shift;
  REQUIRE(quantise(pass, nullptr) == cudaSuccess);
  check_copy(row_wise, values, columns, form);
  check_copy(column_wise, transposed(values, columns), rows, form);
}

TEST_CASE("the largest shift of a group is reported", "[unit]") {
  Values values(128 * 128, 1.0f);
  std::fill_n(values.begin() + 128 * 9 + 32, 32, 0.125f);  // three binades below its neighbours in the row
  const Bf16 input = in_bf16(values);
  Copy copy(values.size(), ScaleForm::folded);
  int largest_shift = 0;
  Quantise pass{.form = ScaleForm::folded, .input = input.data(), .rows = 128, .columns = 128};
  pass.row_wise = copy.target(), pass.largest_shift = &largest_shift;
  REQUIRE(quantise(pass, nullptr) == cudaSuccess);
  CHECK(largest_shift == 3);
  CHECK(largest_shift == fold(moeline::quantise(values.data(), 128, 128), 4).spread);
}

TEST_CASE("quantising while gathering gives rows of tokens, and zeros for padding", "[unit]") {
  const Values tokens = awkward_matrix(16, 128, false);
  const Bf16 input = in_bf16(tokens);
  std::vector<int> source_row(128, -1);
  for (int r = 0; r < 100; ++r) source_row[static_cast<std::size_t>(r)] = r * 7 % 16;
  Values gathered(128 * 128, 0.0f);
  for (std::size_t r = 0; r < 100; ++r)
    std::copy_n(tokens.begin() + source_row[r] * 128, 128, gathered.begin() + static_cast<std::ptrdiff_t>(r) * 128);
  Copy row_wise(gathered.size(), ScaleForm::tiled), column_wise(gathered.size(), ScaleForm::tiled);
  Quantise pass{.source = QuantiseSource::gather,
                .input = input.data(),
                .source_row = source_row.data(),
                .rows = 128,
                .columns = 128};
  pass.row_wise = row_wise.target(), pass.column_wise = column_wise.target();
  REQUIRE(quantise(pass, nullptr) == cudaSuccess);
  check_copy(row_wise, gathered, 128, ScaleForm::tiled);
  check_copy(column_wise, transposed(gathered, 128), 128, ScaleForm::tiled);
}

TEST_CASE("SwiGLU and its gradient are quantised as if they had been written in bf16 first", "[unit]") {
  const std::size_t rows = 128, columns = 128;
  const Values x = awkward_matrix(rows, 2 * columns, false), dy = awkward_matrix(rows, columns, false);
  const auto bounded = [](float v) { return decode_bf16(encode_bf16(std::clamp(v, -20.0f, 20.0f))); };
  Values input(x.size()), forward(dy.size()), backward(x.size());
  std::transform(x.begin(), x.end(), input.begin(), bounded);
  for (std::size_t r = 0; r < rows; ++r)
    for (std::size_t c = 0; c < columns; ++c) {
      const float g = input[r * 256 + c], u = input[r * 256 + 128 + c], d = bounded(dy[r * 128 + c]);
      const float s = 1 / (1 + std::exp(-g));
      forward[r * 128 + c] = decode_bf16(encode_bf16(g * s * u));
      backward[r * 256 + c] = decode_bf16(encode_bf16(d * u * s * (1 + g * (1 - s))));
      backward[r * 256 + 128 + c] = decode_bf16(encode_bf16(d * g * s));
    }
  Values gradient(dy.size());
  std::transform(dy.begin(), dy.end(), gradient.begin(), bounded);
  const Bf16 input_bits = in_bf16(input), gradient_bits = in_bf16(gradient);
  Quantise pass{.source = QuantiseSource::swiglu,
                .input = input_bits.data(),
                .gradient = gradient_bits.data(),
                .rows = 128,
                .columns = 128};
  Copy y(forward.size(), ScaleForm::tiled), dx(backward.size(), ScaleForm::tiled),
      dx_t(backward.size(), ScaleForm::tiled);
  pass.row_wise = y.target();
  REQUIRE(quantise(pass, nullptr) == cudaSuccess);
  check_copy(y, forward, 128, ScaleForm::tiled);
  pass.source = QuantiseSource::swiglu_backward, pass.row_wise = dx.target(), pass.column_wise = dx_t.target();
  REQUIRE(quantise(pass, nullptr) == cudaSuccess);
  check_copy(dx, backward, 256, ScaleForm::tiled);
  check_copy(dx_t, transposed(backward, 256), 128, ScaleForm::tiled);
}

TEST_CASE("folding whole rows and dequantising agree with the codec, batch by batch", "[unit]") {
  const std::size_t rows = 256, columns = 256;  // two matrices of 128 rows
  const Values values = awkward_matrix(rows, columns, false);
  const Bf16 input = in_bf16(values);
  Copy copy(values.size(), ScaleForm::tiled);
  Quantise pass{.input = input.data(), .rows = 128, .columns = 256, .batch = 2};
  pass.row_wise = copy.target();
  REQUIRE(quantise(pass, nullptr) == cudaSuccess);
  const ScaledMatrix plain = moeline::quantise(values.data(), rows, columns);

  Bf16 back(values.size());
  REQUIRE(dequantise({copy.values.data(), copy.scales.data(), back.data(), 256, 256}, nullptr) == cudaSuccess);
  CHECK(back == in_bf16(moeline::dequantise(plain)));

  const Folded folded = fold(plain, 8);
  Values row_scales(rows);
  int largest_shift = 0;
  REQUIRE(fold_rows({copy.values.data(), copy.scales.data(), row_scales.data(), 256, 256, &largest_shift}, nullptr) ==
          cudaSuccess);
  CHECK(copy.values == folded.matrix.elements);
  for (std::size_t r = 0; r < rows; ++r) REQUIRE(row_scales[r] == decode_e8m0(folded.matrix.scales[r]));
  CHECK(largest_shift == std::min(folded.spread, kVanishingShift));
}

}  // namespace moeline::kernels
