#include "validate/kernels/passes.hpp"

#include "validate/kernels/launch.cuh"
#include "validate/kernels/scale_layout.hpp"

namespace moeline::kernels {
namespace {

constexpr int kThreads = 256, kPerThread = 4;

__device__ __forceinline__ uint4 multiply_add(uint4 a, uint4 b) {
  const auto one = [](unsigned x, unsigned y) {
    return __float_as_uint(fmaf(3.0f, __uint_as_float(y), __uint_as_float(x)));
  };
  return {one(a.x, b.x), one(a.y, b.y), one(a.z, b.z), one(a.w, b.w)};
}

template <Pass kPass>
__global__ void __launch_bounds__(kThreads)
    memory_kernel(const uint4* a, const uint4* b, uint4* to, std::size_t count) {
  const std::size_t first = static_cast<std::size_t>(blockIdx.x) * kThreads * kPerThread + threadIdx.x;
  constexpr bool kReadsA = kPass != Pass::write, kReadsB = kPass == Pass::triad;
  uint4 x[kPerThread], y[kPerThread];
#pragma unroll
  for (int i = 0; i < kPerThread; ++i) {
    const std::size_t at = first + i * kThreads;
    x[i] = kReadsA && at < count ? __ldcs(a + at) : uint4{1, 2, 3, 4};
    y[i] = kReadsB && at < count ? __ldcs(b + at) : uint4{};
  }
  if constexpr (kPass == Pass::read) {
    unsigned any = 0;
#pragma unroll
    for (int i = 0; i < kPerThread; ++i) any |= x[i].x | x[i].y | x[i].z | x[i].w;
    if (any == 0) *to = x[0];  // never with random data: keeps the loads
  } else {
#pragma unroll
    for (int i = 0; i < kPerThread; ++i) {
      const std::size_t at = first + i * kThreads;
      if (at < count) __stcs(to + at, kPass == Pass::triad ? multiply_add(x[i], y[i]) : x[i]);
    }
  }
}

__global__ void __launch_bounds__(kThreads) fma_kernel(float* to) {
  constexpr int kChains = 8;
  float x[kChains];
#pragma unroll
  for (int i = 0; i < kChains; ++i) x[i] = threadIdx.x * 0.001f + i;
  const float a = 0.999f + blockIdx.x * 1e-9f, b = 0.001f;
#pragma unroll 4
  for (int round = 0; round < kFmaPerThread / kChains; ++round) {
#pragma unroll
    for (int i = 0; i < kChains; ++i) x[i] = fmaf(x[i], a, b);
  }
  float sum = 0;
#pragma unroll
  for (int i = 0; i < kChains; ++i) sum += x[i];
  if (sum == -1.0f) *to = sum;
}

__global__ void empty_kernel() {}

__global__ void clock_kernel(ClockReading* to) {
  unsigned multiprocessor;
  asm volatile("mov.u32 %0, %%smid;" : "=r"(multiprocessor));
  if (multiprocessor != 0) return;
  ClockReading reading;
  asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(reading.nanoseconds));
  reading.clocks = static_cast<unsigned long long>(clock64());
  *to = reading;
}

__global__ void gate_kernel(const volatile int* open) {
  constexpr long long kLongest = 1LL << 33;  // clocks, over 4 s
  const long long since = clock64();
  while (*open == 0 && clock64() - since < kLongest) {
  }
}

__global__ void __launch_bounds__(kThreads) fill_kernel(FillFromPool fill) {
  const std::size_t row = blockIdx.x, matrix_row = row % fill.rows;
  auto* to = static_cast<unsigned short*>(fill.to) + row * fill.columns;
  const auto* pool = static_cast<const unsigned short*>(fill.pool);
  std::size_t at = (row * fill.columns + threadIdx.x) % fill.size;
  for (int column = threadIdx.x; column < fill.columns; column += kThreads) {
    to[column] = matrix_row < fill.filled ? pool[at] : 0;
    at += kThreads;
    if (at >= fill.size) at -= fill.size;
  }
}

__global__ void __launch_bounds__(kThreads)
    poison_kernel(const unsigned* words, std::size_t count, unsigned long long* found) {
  int mine = 0;
  const std::size_t step = static_cast<std::size_t>(gridDim.x) * kThreads;
  for (std::size_t i = static_cast<std::size_t>(blockIdx.x) * kThreads + threadIdx.x; i < count; i += step)
    mine += words[i] == 0xFFFFFFFF;
  if (mine > 0) atomicAdd(found, static_cast<unsigned long long>(mine));
}

template <Pass kPass>
cudaError_t launch_memory(const MemoryPass& pass, cudaStream_t stream) {
  const std::size_t count = pass.bytes / 16, blocks = divided_up(count, kThreads * kPerThread);
  return launch(memory_kernel<kPass>, static_cast<unsigned>(blocks), kThreads, 0, stream,
                static_cast<const uint4*>(pass.a), static_cast<const uint4*>(pass.b), static_cast<uint4*>(pass.to),
                count);
}

}  // namespace

cudaError_t memory_pass(const MemoryPass& pass, cudaStream_t stream) {
  if (pass.bytes % 16 != 0) return cudaErrorInvalidValue;
  switch (pass.pass) {
    case Pass::copy:
      return launch_memory<Pass::copy>(pass, stream);
    case Pass::read:
      return launch_memory<Pass::read>(pass, stream);
    case Pass::write:
      return launch_memory<Pass::write>(pass, stream);
    case Pass::triad:
      return launch_memory<Pass::triad>(pass, stream);
  }
  return cudaErrorInvalidValue;
}

cudaError_t fma_pass(int blocks, float* to, cudaStream_t stream) {
  return launch(fma_kernel, static_cast<unsigned>(blocks), kThreads, 0, stream, to);
}

cudaError_t empty_pass(cudaStream_t stream) { return launch(empty_kernel, 1, 32, 0, stream); }

cudaError_t gate_pass(const int* open, cudaStream_t stream) {
  return launch(gate_kernel, 1, 1, 0, stream, static_cast<const volatile int*>(open));
}

cudaError_t fill_from_pool(const FillFromPool& fill, cudaStream_t stream) {
  if (fill.size < kThreads) return cudaErrorInvalidValue;
  return launch(fill_kernel, static_cast<unsigned>(fill.matrices * fill.rows), kThreads, 0, stream, fill);
}

cudaError_t count_poison(const void* words, std::size_t count, unsigned long long* found, cudaStream_t stream) {
  return launch(poison_kernel, 1024, kThreads, 0, stream, static_cast<const unsigned*>(words), count, found);
}

// Enough small blocks that some run on multiprocessor 0, whose clock both readings must come from.
cudaError_t read_clock(ClockReading* to, cudaStream_t stream) { return launch(clock_kernel, 1024, 1, 0, stream, to); }

}  // namespace moeline::kernels
