// Runs kernels that use no tensor cores on the CPU, from the very sources that nvcc compiles: a thread of the system
// for each thread of a block, blocks one after another. Slow, and enough for a few tiles: indices, layouts, shuffles
// and barriers are exact. Included before a .cu file, instead of the part of the CUDA headers that only nvcc
// understands.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp8.h>
#include <cuda_runtime_api.h>
#include <vector_functions.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <barrier>
#include <bit>
#include <cmath>
#include <cstring>
#include <memory>
#include <thread>
#include <vector>

#undef __global__
#undef __device__
#undef __shared__
#undef __forceinline__
#undef __launch_bounds__
#undef __cluster_dims__
#undef __grid_constant__
#define __global__ static
#define __device__
#define __shared__ static
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __cluster_dims__(...)
#define __grid_constant__

inline thread_local uint3 threadIdx, blockIdx;
inline dim3 blockDim, gridDim;

namespace moeline::kernels::on_cpu {

struct Block {
  Block(unsigned threads, std::size_t shared)
      : all(threads),
        lanes((threads + 31) / 32),
        exchanged{std::vector<Exchanged>(threads), std::vector<Exchanged>(threads)},
        dynamic(shared / sizeof(uint4) + 64) {
    for (std::size_t warp = 0; warp < lanes.size(); ++warp)
      lanes[warp] = std::make_unique<std::barrier<>>(std::min(32u, threads - 32 * static_cast<unsigned>(warp)));
  }
  std::barrier<> all;
  std::vector<std::unique_ptr<std::barrier<>>> lanes;
  using Exchanged = std::array<std::uint64_t, 4>;
  std::array<std::vector<Exchanged>, 2> exchanged;
  std::uint8_t* shared_memory() {
    void* at = dynamic.data();
    std::size_t room = dynamic.size() * sizeof(uint4);
    return static_cast<std::uint8_t*>(std::align(1024, 1, at, room));
  }

 private:
  std::vector<uint4> dynamic;
};
inline thread_local Block* block = nullptr;
// Blocks that run at one time and may meet.
inline unsigned cluster = 1;
struct InClustersOf {
  explicit InClustersOf(unsigned blocks) { cluster = blocks; }
  ~InClustersOf() { cluster = 1; }
};
inline std::vector<Block*> blocks_of_cluster;
inline std::unique_ptr<std::barrier<>> cluster_barrier;

inline void warp_barrier() { block->lanes[threadIdx.x / 32]->arrive_and_wait(); }

inline thread_local unsigned shuffles = 0;

// What all lanes of this warp hand in. Two places take turns, so that one barrier is enough: nobody is two calls ahead.
inline const Block::Exchanged* of_warp(const void* value, std::size_t bytes) {
  std::vector<Block::Exchanged>& exchanged = block->exchanged[shuffles++ % 2];
  std::memcpy(&exchanged[threadIdx.x], value, bytes);
  warp_barrier();
  return &exchanged[threadIdx.x / 32 * 32];
}
// Value of lane `from` of this warp.
template <class T>
T shuffled(T value, unsigned from) {
  std::memcpy(&value, of_warp(&value, sizeof(T)) + from, sizeof(T));
  return value;
}

}  // namespace moeline::kernels::on_cpu

inline void __syncthreads() { moeline::kernels::on_cpu::block->all.arrive_and_wait(); }
inline void __syncwarp() { moeline::kernels::on_cpu::warp_barrier(); }
template <class T>
T __shfl_xor_sync(unsigned, T value, int lanes) {
  return moeline::kernels::on_cpu::shuffled(value, threadIdx.x % 32 ^ static_cast<unsigned>(lanes));
}
template <class T>
T __shfl_up_sync(unsigned, T value, int lanes) {
  const unsigned lane = threadIdx.x % 32, by = static_cast<unsigned>(lanes);
  return moeline::kernels::on_cpu::shuffled(value, lane < by ? lane : lane - by);
}
inline int __reduce_max_sync(unsigned mask, int value) {
  for (int lanes = 1; lanes < 32; lanes *= 2) value = std::max(value, __shfl_xor_sync(mask, value, lanes));
  return value;
}
template <class T>
T __ldcs(const T* at) {
  return *at;
}
template <class T>
T __ldg(const T* at) {
  return *at;
}
template <class T>
void __stcs(T* at, T value) {
  *at = value;
}
inline float __uint_as_float(unsigned bits) { return std::bit_cast<float>(bits); }
inline float __expf(float x) { return std::exp(x); }
template <class T>
T atomicAdd(T* at, T value) {
  return std::atomic_ref<T>(*at).fetch_add(value);
}
template <class T>
T atomicMax(T* at, T value) {
  std::atomic_ref<T> shared(*at);
  T seen = shared.load();
  while (seen < value && !shared.compare_exchange_weak(seen, value)) {
  }
  return seen;
}
using std::max;
using std::min;

namespace moeline::kernels {

inline cudaError_t clear(void* at, std::size_t bytes, cudaStream_t) {
  std::memset(at, 0, bytes);
  return cudaSuccess;
}

template <class T>
T* dynamic_shared() {
  return reinterpret_cast<T*>(on_cpu::block->shared_memory());
}

template <class... Parameters>
cudaError_t allow_shared(void (*)(Parameters...), int) {
  return cudaSuccess;
}
inline int multiprocessors() { return 4; }

template <class... Parameters>
cudaError_t launch(void (*kernel)(Parameters...), dim3 grid, unsigned threads, std::size_t shared, cudaStream_t,
                   Parameters... parameters) {
  gridDim = grid, blockDim = dim3(threads);
  const unsigned count = grid.x * grid.y, together = on_cpu::cluster * threads;
  std::vector<std::unique_ptr<on_cpu::Block>> blocks;
  const auto fresh_blocks = [&]() noexcept {
    blocks.clear(), on_cpu::blocks_of_cluster.clear();
    on_cpu::cluster_barrier = std::make_unique<std::barrier<>>(together);
    for (unsigned rank = 0; rank < on_cpu::cluster; ++rank) {
      blocks.push_back(std::make_unique<on_cpu::Block>(threads, shared));
      on_cpu::blocks_of_cluster.push_back(blocks.back().get());
    }
  };
  std::barrier next(together, fresh_blocks);
  std::vector<std::thread> running;
  for (unsigned t = 0; t < together; ++t)
    running.emplace_back([&, t] {
      for (unsigned index = t / threads; index < count; index += on_cpu::cluster) {
        next.arrive_and_wait();
        on_cpu::block = blocks[t / threads].get();
        threadIdx = {t % threads, 0, 0}, blockIdx = {index % grid.x, index / grid.x, 0};
        kernel(parameters...);
      }
    });
  for (std::thread& thread : running) thread.join();
  return cudaSuccess;
}

}  // namespace moeline::kernels
