// Copies one message by all threads of `blocks` blocks, 16 bytes at a time, four under way.
#pragma once

#include "validate/kernels/scatter.hpp"

namespace moeline::kernels {

inline constexpr int kScatterThreads = 512, kScatterPerThread = 4;

__device__ __forceinline__ void copy_message(const ScatterPart& part, int block, int blocks) {
  constexpr std::size_t kStep = kScatterThreads * kScatterPerThread;
  const auto* from = reinterpret_cast<const uint4*>(part.from);
  auto* to = reinterpret_cast<uint4*>(part.to);
  const std::size_t count = part.bytes / 16;
  for (std::size_t first = block * kStep; first < count; first += blocks * kStep) {
    uint4 x[kScatterPerThread];
#pragma unroll
    for (int i = 0; i < kScatterPerThread; ++i) {
      const std::size_t at = first + i * kScatterThreads + threadIdx.x;
      if (at < count) x[i] = __ldcs(from + at);
    }
#pragma unroll
    for (int i = 0; i < kScatterPerThread; ++i) {
      const std::size_t at = first + i * kScatterThreads + threadIdx.x;
      if (at < count) to[at] = x[i];
    }
  }
  const std::size_t tail = count * 16 + threadIdx.x;
  if (block == 0 && tail < part.bytes) part.to[tail] = part.from[tail];
}

}  // namespace moeline::kernels
