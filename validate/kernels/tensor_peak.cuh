// Operands for products that are only timed: random signs and mantissas, exponents near one. As much switching as real
// data, no overflow over thousands of rounds, and no NaN whether read as bf16 or FP8.
#pragma once

#include <cstdint>

namespace moeline::kernels {

inline constexpr int kPeakRounds = 4096;

// By all threads of a block, which must meet before tensor cores read.
__device__ __forceinline__ void fill_operands(std::uint8_t* operands, std::uint32_t bytes) {
  std::uint32_t state = blockIdx.x * blockDim.x + threadIdx.x + 1;
  for (std::uint32_t i = threadIdx.x; i < bytes / 2; i += blockDim.x) {
    state = state * 1664525u + 1013904223u;
    reinterpret_cast<std::uint16_t*>(operands)[i] = static_cast<std::uint16_t>((state >> 16 & 0x8F8F) | 0x3030);
  }
  asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
}

// What is computed must look used.
template <class Sums>
__device__ __forceinline__ void keep_alive(const Sums& sums, float* to) {
  float total = 0;
#pragma unroll
  for (const float sum : sums) total += sum;
  if (total == -1.0f) *to = total;
}

}  // namespace moeline::kernels
