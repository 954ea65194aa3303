// The words that tensor cores read, against the canonical layouts spelt out, and against bytes laid out by hand.
#include "validate/kernels/descriptors.hpp"

#include <catch2/catch.hpp>

#include "validate/codec.hpp"
#include "validate/kernels/scale_layout.hpp"

namespace moeline::kernels {
namespace {

std::uint32_t bits(std::uint64_t word, int from, int count) {
  return static_cast<std::uint32_t>(word >> from & ((std::uint64_t{1} << count) - 1));
}

// What a tensor core reads for element byte (row, byte of k) of a K-major operand, k step by k step: the 8-row group by
// the stride, the row by 128 bytes, and the swizzle on the address itself (bits 4-6 with bits 7-9).
std::uint32_t read_k_major(std::uint64_t descriptor, std::uint32_t row, std::uint32_t byte) {
  const std::uint32_t start = bits(descriptor, 0, 14) * 16, stride = bits(descriptor, 32, 14) * 16;
  const std::uint32_t address = start + row / 8 * stride + row % 8 * 128 + byte;
  return address ^ (address >> 7 & 7) << 4;
}

// The same for an MN-major operand of 2-byte elements: 64 of m per row, k rows in groups of 8.
std::uint32_t read_mn_major(std::uint64_t descriptor, std::uint32_t m, std::uint32_t k) {
  const std::uint32_t start = bits(descriptor, 0, 14) * 16, leading = bits(descriptor, 16, 14) * 16;
  const std::uint32_t stride = bits(descriptor, 32, 14) * 16;
  const std::uint32_t address = start + m / 64 * leading + k / 8 * stride + k % 8 * 128 + m % 64 * 2;
  return address ^ (address >> 7 & 7) << 4;
}

}  // namespace

TEST_CASE("a K-major tile is read back where the tensor copy put it, at every k step", "[unit]") {
  const std::uint32_t base = 5 * 1024;
  for (std::uint32_t row = 0; row < 128; ++row)
    for (std::uint32_t byte = 0; byte < 128; ++byte) {
      const std::uint32_t step = byte / 32, start = base + step * k_step_bytes(Major::k);
      const std::uint32_t stored = base + row / kBoxRows * kBoxBytes + swizzled(row % kBoxRows, byte);
      REQUIRE(read_k_major(sm90::matrix_descriptor(start, Major::k), row, byte % 32) == stored);
      REQUIRE(read_k_major(sm100::matrix_descriptor(start, Major::k), row, byte % 32) == stored);
    }
}

TEST_CASE("an MN-major tile is read back where the tensor copy put it, at every k step", "[unit]") {
  const std::uint32_t base = 7 * 1024;
  for (std::uint32_t m = 0; m < 256; ++m)
    for (std::uint32_t k = 0; k < 64; ++k) {
      const std::uint32_t start = base + k / 16 * k_step_bytes(Major::mn);
      const std::uint32_t stored = base + m / 64 * kBoxBytes + swizzled(k, m % 64 * 2);
      REQUIRE(read_mn_major(sm90::matrix_descriptor(start, Major::mn), m, k % 16) == stored);
      REQUIRE(read_mn_major(sm100::matrix_descriptor(start, Major::mn), m, k % 16) == stored);
    }
}

TEST_CASE("the generations mark swizzle and version in their own bits", "[unit]") {
  CHECK(bits(sm90::matrix_descriptor(0, Major::k), 46, 18) == 1u << 16);          // 1 at 62, nothing else
  CHECK(bits(sm100::matrix_descriptor(0, Major::k), 46, 18) == (1u | 1u << 16));  // 2 at 61 = 1 at 62; version 1 at 46
  CHECK(bits(sm100::scale_descriptor(1024), 0, 14) == 64);
  CHECK(bits(sm100::scale_descriptor(1024), 32, 14) == 8);
  CHECK(bits(sm100::scale_descriptor(1024), 46, 18) == 1);
}

TEST_CASE("instruction descriptors hold m / 16, n / 8 and the scale byte of the k step", "[unit]") {
  const std::uint32_t word = sm100::block_scaled_instruction(256, 256, 3);
  CHECK(bits(word, 17, 6) == 32);
  CHECK(bits(word, 24, 5) == 16);
  CHECK(bits(word, 4, 2) == 3);
  CHECK(bits(word, 29, 2) == 3);
  CHECK(bits(word, 23, 1) == 1);
  CHECK(bits(word, 7, 6) == 0);  // both E4M3
  const std::uint32_t plain = sm100::bf16_instruction(128, 64, Major::mn, Major::k);
  CHECK(bits(plain, 15, 2) == 1);
  CHECK(bits(plain, 17, 6) == 8);
  CHECK(bits(plain, 24, 5) == 8);
  CHECK(bits(plain, 4, 9) == (1u | 1u << 3 | 1u << 6));
}

TEST_CASE("a warp's registers hold what mma.m16n8k32 takes from them", "[unit]") {
  for (std::uint32_t lane = 0; lane < 32; ++lane) {
    const std::uint32_t group = lane / 4, in_group = lane % 4;  // as PTX calls them
    for (std::uint32_t r = 0; r < 4; ++r) {
      // ldmatrix: register r gets the four bytes in_group of the row that lane 8 r + group names
      const sm120::Place a = sm120::place_in_a(8 * r + group), b = sm120::place_in_b(8 * r + group);
      CHECK(a.row == group + (r % 2 == 1 ? 8 : 0));  // a0 .. a3, a8 .. a11: row = group, the others + 8
      CHECK(a.chunk * 16 + in_group * 4 ==
            in_group * 4 + (r >= 2 ? 16 : 0));   // k = 4 in_group + i % 4, from a8 on + 16
      CHECK(b.row == group + (r >= 2 ? 8 : 0));  // two products, column = group in each
      CHECK(b.chunk * 16 + in_group * 4 == in_group * 4 + (r % 2 == 1 ? 16 : 0));  // b4 .. b7: + 16
    }
  }
  for (std::uint32_t row = 0; row < 16; ++row) CHECK(sm120::scaled_row_of_a(row % 8 * 4 + row / 8) == row);
  for (std::uint32_t column = 0; column < 8; ++column) CHECK(sm120::scaled_column_of_b(column * 4) == column);
}

TEST_CASE("eight lanes of ldmatrix read eight different chunks of the swizzled rows", "[unit]") {
  for (std::uint32_t matrix = 0; matrix < 4; ++matrix)
    for (std::uint32_t q = 0; q < 4; ++q) {
      std::uint32_t chunks = 0;  // of 128 bytes, the width of shared memory
      for (std::uint32_t lane = 8 * matrix; lane < 8 * matrix + 8; ++lane) {
        const sm120::Place place = sm120::place_in_a(lane);
        chunks |= 1u << swizzled(place.row, (2 * q + place.chunk) * 16) / 16 % 8;
      }
      CHECK(chunks == 0xFF);
    }
}

TEST_CASE("the four scales of a row are one word of its tile", "[unit]") {
  for (int row = 0; row < kTile; ++row)
    for (std::size_t block = 0; block < kTileBlocks; ++block) {
      const auto from_codec = tiled_scale_offset(static_cast<std::size_t>(row), block, kTileBlocks);
      REQUIRE(from_codec == static_cast<std::size_t>(scale_word(row)) * 4 + block);
    }
}

}  // namespace moeline::kernels
