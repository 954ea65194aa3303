// Which words tell the tensor cores where a tile lies in shared memory, and what to multiply?
//
// All tiles here are rows of 128 bytes with the 128-byte swizzle: 8 rows make an atom of 1024 bytes, inside which the
// 16-byte chunk c of row r is stored at chunk c ^ r. Two orientations (PTX ISA 9.0, wgmma and tcgen05 "canonical
// layouts"):
//
//   K-major    a row is one m (or n), 128 bytes of k:     stride = 1024 between groups of 8 rows; next k step: + 32
//   bytes MN-major   a row is one k, 64 bf16 of m (or n):       stride = 1024 between groups of 8 k, leading = distance
//   to the
//                                                         next 64 of m; next k step (16 rows): + 2048 bytes
// Both generations count addresses and distances in 16-byte units; they differ in where the swizzle mode stands.
#pragma once

#include <cstdint>

namespace moeline::kernels {

constexpr std::uint32_t kRowBytes = 128, kAtomRows = 8, kAtomBytes = kRowBytes * kAtomRows;
constexpr std::uint32_t kBoxRows = 64, kBoxBytes = kBoxRows * kRowBytes;  // what one tensor copy brings in

enum class Major : std::uint32_t { k = 0, mn = 1 };

// Where byte `byte` of row `row` of a swizzled tile lies, in bytes from the tile's 1024-aligned start.
constexpr std::uint32_t swizzled(std::uint32_t row, std::uint32_t byte) {
  return row * kRowBytes + ((byte / 16) ^ (row % kAtomRows)) * 16 + byte % 16;
}

// Bytes from one k step of an instruction (32 bytes of k: 32 FP8, 16 bf16) to the next.
constexpr std::uint32_t k_step_bytes(Major major) { return major == Major::k ? 32 : 16 * kRowBytes; }

constexpr std::uint64_t address_field(std::uint64_t bytes) { return (bytes & 0x3FFFF) >> 4; }

// Bits 0-13 address, 16-29 leading, 32-45 stride.
constexpr std::uint64_t tile_fields(std::uint32_t address, std::uint32_t leading, std::uint32_t stride) {
  return address_field(address) | address_field(leading) << 16 | address_field(stride) << 32;
}

// Tiles are stacks of boxes of 64 rows: along m for K-major (seamless), side by side in m for MN-major.
constexpr std::uint32_t leading_bytes(Major major) { return major == Major::k ? 16 : kBoxBytes; }

namespace sm90 {
// Operand of wgmma: swizzle mode in bits 62-63, 1 = 128 bytes.
constexpr std::uint64_t matrix_descriptor(std::uint32_t address, Major major) {
  return tile_fields(address, leading_bytes(major), kAtomBytes) | std::uint64_t{1} << 62;
}
}  // namespace sm90

namespace sm100 {
// Operand of tcgen05.mma: version 1 in bits 46-47, swizzle mode in bits 61-63, 2 = 128 bytes.
constexpr std::uint64_t matrix_descriptor(std::uint32_t address, Major major) {
  return tile_fields(address, leading_bytes(major), kAtomBytes) | std::uint64_t{1} << 46 | std::uint64_t{2} << 61;
}

// Source of tcgen05.cp.32x128b: 512 bytes of scales, not swizzled, 8 rows of 16 bytes every 128 bytes.
constexpr std::uint64_t scale_descriptor(std::uint32_t address) {
  return tile_fields(address, 0, 128) | std::uint64_t{1} << 46;
}

// kind::mxf8f6f4.block_scale, E4M3 x E4M3 (format 0) with E8M0 scales, both K-major:
// bits 4-5 and 29-30 which byte of the scale word (of B, of A), 17-22 n / 8, 23 scale format 1 = E8M0, 24-28 m / 16.
constexpr std::uint32_t block_scaled_instruction(std::uint32_t m, std::uint32_t n, std::uint32_t k_step) {
  return k_step << 4 | (n / 8) << 17 | 1u << 23 | (m / 16) << 24 | k_step << 29;
}

// kind::f16, bf16 x bf16 (formats 1 in bits 7-9, 10-12) into FP32 (1 in bits 4-5); bits 15, 16 the orientations.
constexpr std::uint32_t bf16_instruction(std::uint32_t m, std::uint32_t n, Major a, Major b) {
  return 1u << 4 | 1u << 7 | 1u << 10 | static_cast<std::uint32_t>(a) << 15 | static_cast<std::uint32_t>(b) << 16 |
         (n / 8) << 17 | (m / 16) << 24;
}
}  // namespace sm100

// sm_120 has no descriptors: a warp brings 16 x 32 bytes of A and twice 8 x 32 of B into its registers with one ldmatrix
// each, and multiplies them by mma.sync.m16n8k32. Matrices of 8 rows x 16 bytes go into registers 0 .. 3; lane l names
// the row l % 8 of matrix l / 8, and gets of every matrix the four bytes l % 4 of row l / 4:
//
//   of A   register   0  2   k 0-15 | 16-31        of B   registers  0  1   k 0-15 | 16-31 of columns 0-7
//                     1  3   rows 8-15                               2  3   columns 8-15
// A scale register holds the four E8M0 of one row and 128 of k, one a multiplication of 32. Rows of A are read from lanes
// 4 (row % 8) + row / 8, columns of B from lanes 4 column (thread selector 0); what other lanes hold is not looked at.
// Source: PTX ISA 9.0, "Warp-level matrix fragments for mma.m16n8k32" and "Block scaling for mma.sync".
namespace sm120 {
struct Place {
  std::uint32_t row, chunk;  // chunk: 16 bytes of k
};
constexpr Place place_in_a(std::uint32_t lane) { return {lane % 16, lane / 16}; }
constexpr Place place_in_b(std::uint32_t lane) { return {lane % 8 + lane / 16 * 8, lane / 8 % 2}; }

constexpr std::uint32_t scaled_row_of_a(std::uint32_t lane) { return lane / 4 + lane % 2 * 8; }
constexpr std::uint32_t scaled_column_of_b(std::uint32_t lane) { return lane / 4; }
}  // namespace sm120

}  // namespace moeline::kernels
