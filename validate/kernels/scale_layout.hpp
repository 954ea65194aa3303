// Where does the scale of a block of 32 lie in the layout that tensor cores, cuBLASLt and cuDNN read?
//
//   rows padded to 128, blocks along k padded to 4: tiles of 128 x 4 scales = 512 bytes, row-major over tiles;
//   inside a tile: (row % 32) * 16 + (row % 128 / 32) * 4 + block % 4
// The four scales of one row in one tile are one aligned 32-bit word. Source: cuBLAS 13 documentation, "1D block
// scaling".
#pragma once

#include <cstddef>

namespace moeline::kernels {

constexpr int kBlock = 32;  // elements that share a scale
constexpr int kTile = 128;  // rows, and elements of k, that one 512-byte tile of scales covers
constexpr int kTileBlocks = 4;
constexpr int kTileBytes = kTile * kTileBlocks;

constexpr std::size_t divided_up(std::size_t a, std::size_t b) { return (a + b - 1) / b; }

// Which 32-bit word of a tile holds the scales of `row` (0 .. 127).
constexpr int scale_word(int row) { return row % 32 * 4 + row / 32; }

}  // namespace moeline::kernels
