// Four lanes hold, for each of four blocks of 8 columns, one pair of columns each; afterwards each holds one whole
// block.
//
//   lane q: pair q of blocks 0, 1, 2, 3   ->   lane q: pairs 0, 1, 2, 3 of block q        (a transpose of 4 x 4)
// So that accumulators, which tensor cores scatter by pairs, leave in 16-byte stores without passing shared memory.
#pragma once

#include <cstdint>

namespace moeline::kernels {

// Swaps `mine` of one lane with `yours` of the lane `distance` away.
__device__ __forceinline__ void swap_across(std::uint32_t& low_keeps_other, std::uint32_t& high_keeps_other,
                                            int distance) {
  const bool high = (threadIdx.x & static_cast<unsigned>(distance)) != 0;
  const std::uint32_t sent = high ? high_keeps_other : low_keeps_other;
  const std::uint32_t got = __shfl_xor_sync(0xFFFFFFFF, sent, distance);
  if (high) {
    high_keeps_other = got;
  } else {
    low_keeps_other = got;
  }
}

__device__ __forceinline__ void transpose_quad(std::uint32_t (&words)[4]) {
  swap_across(words[1], words[0], 1);
  swap_across(words[3], words[2], 1);
  swap_across(words[2], words[0], 2);
  swap_across(words[3], words[1], 2);
}

}  // namespace moeline::kernels
