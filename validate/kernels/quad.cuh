// Four lanes hold, for each of four blocks of 8 columns, one pair of columns each; afterwards each holds one whole
// block.
//
//   lane q: pair q of blocks 0, 1, 2, 3   ->   lane q: pairs 0, 1, 2, 3 of block q        (a transpose of 4 x 4)
// So that accumulators, which tensor cores scatter by pairs, leave in 16-byte stores without passing shared memory.
#pragma once

#include <cuda_bf16.h>

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

// Four blocks of 8 columns, `first` their first accumulator (of row r: 0, of row r + 8: 2), as one 16-byte store per
// lane.
template <int kCount>
__device__ __forceinline__ void store_blocks(const float (&sum)[kCount], int first, __nv_bfloat16* row) {
  std::uint32_t words[4];
#pragma unroll
  for (int block = 0; block < 4; ++block) {
    const __nv_bfloat162 pair = __floats2bfloat162_rn(sum[first + 4 * block], sum[first + 4 * block + 1]);
    words[block] = reinterpret_cast<const std::uint32_t&>(pair);
  }
  transpose_quad(words);
  *reinterpret_cast<uint4*>(row + threadIdx.x % 4 * 8) = {words[0], words[1], words[2], words[3]};
}
template <int kCount>
__device__ __forceinline__ void store_blocks(const float (&sum)[kCount], int first, float* row) {
#pragma unroll
  for (int block = 0; block < 4; ++block) {
    *reinterpret_cast<float2*>(row + 8 * block + threadIdx.x % 4 * 2) = {sum[first + 4 * block],
                                                                         sum[first + 4 * block + 1]};
  }
}

}  // namespace moeline::kernels
