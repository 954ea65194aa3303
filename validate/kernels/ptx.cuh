// The instructions of sm_90 and later that C++ has no words for: barriers that count bytes, tensor copies, clusters.
// Source: PTX ISA 9.0. Addresses are those of shared memory (32 bits); a barrier wait names the parity of its phase.
#pragma once

#ifdef __CUDACC__  // the tests have their own, for the CPU (tests/unit/kernels/tensor_cores_on_cpu.hpp)

#include <cuda.h>

#include <cstdint>

namespace moeline::kernels {

__device__ __forceinline__ std::uint32_t shared_address(const void* at) {
  return static_cast<std::uint32_t>(__cvta_generic_to_shared(at));
}

// --- barriers ------------------------------------------------------------------------------------------------------
__device__ __forceinline__ void barrier_init(std::uint32_t barrier, int arrivals) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(barrier), "r"(arrivals));
}
// After all inits, before the threads of the cluster meet.
__device__ __forceinline__ void barriers_are_initialised() {
  asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
}

// Arrives, and lets the phase wait for `bytes` of copies too.
__device__ __forceinline__ void barrier_expect(std::uint32_t barrier, std::uint32_t bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(barrier), "r"(bytes) : "memory");
}
// Arrives at the same barrier of another block of the cluster.
__device__ __forceinline__ void barrier_arrive(std::uint32_t barrier, std::uint32_t block) {
  asm volatile(
      "{\n.reg .b32 there;\nmapa.shared::cluster.u32 there, %0, %1;\n"
      "mbarrier.arrive.release.cluster.shared::cluster.b64 _, [there];\n}" ::"r"(barrier),
      "r"(block)
      : "memory");
}
__device__ __forceinline__ bool barrier_done(std::uint32_t barrier, std::uint32_t parity) {
  std::uint32_t done;
  asm volatile(
      "{\n.reg .pred p;\nmbarrier.try_wait.parity.acquire.cluster.shared::cta.b64 p, [%1], %2;\nselp.u32 %0, 1, 0, "
      "p;\n}"
      : "=r"(done)
      : "r"(barrier), "r"(parity)
      : "memory");
  return done != 0;
}
// A barrier that stays closed for seconds is a bug of ours: the kernel dies and the host hears of it.
inline constexpr long long kPatience = 1LL << 33;  // clocks, over 4 s
__device__ __forceinline__ void barrier_wait(std::uint32_t barrier, std::uint32_t parity) {
  if (barrier_done(barrier, parity)) return;
  const long long since = clock64();
  while (!barrier_done(barrier, parity)) {
    if (clock64() - since > kPatience) __trap();
  }
}

// Position in a ring of `kStages` barriers.
template <int kStages>
struct Ring {
  int stage = 0;
  std::uint32_t parity = 0;
  __device__ __forceinline__ void advance() {
    if (++stage == kStages) stage = 0, parity ^= 1;
  }
};

// --- clusters ------------------------------------------------------------------------------------------------------
__device__ __forceinline__ std::uint32_t rank_in_cluster() {
  std::uint32_t rank;
  asm volatile("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
  return rank;
}
__device__ __forceinline__ void cluster_meets() {
  asm volatile("barrier.cluster.arrive.release.aligned;\nbarrier.cluster.wait.acquire.aligned;" ::: "memory");
}

// --- copies into shared memory -------------------------------------------------------------------------------------
struct Coordinates {
  int inner, outer;
};

__device__ __forceinline__ void prefetch_map(const CUtensorMap* map) {
  asm volatile("prefetch.tensormap [%0];" ::"l"(map) : "memory");
}
// A box to the same place of every block in `blocks` (a mask); each one's barrier counts the bytes.
__device__ __forceinline__ void copy_box(std::uint32_t to, const CUtensorMap* map, std::uint32_t barrier,
                                         Coordinates at, std::uint16_t blocks) {
  asm volatile(
      "cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes.multicast::cluster "
      "[%0], [%1, {%3, %4}], [%2], %5;" ::"r"(to),
      "l"(map), "r"(barrier), "r"(at.inner), "r"(at.outer), "h"(blocks)
      : "memory");
}
// To shared::cta: of shared::cluster ptxas 13.0 makes a call with a stack on sm_120.
__device__ __forceinline__ void copy_box(std::uint32_t to, const CUtensorMap* map, std::uint32_t barrier,
                                         Coordinates at) {
  asm volatile(
      "cp.async.bulk.tensor.2d.shared::cta.global.mbarrier::complete_tx::bytes [%0], [%1, {%3, %4}], [%2];" ::"r"(to),
      "l"(map), "r"(barrier), "r"(at.inner), "r"(at.outer)
      : "memory");
}
// Contiguous bytes, a multiple of 16.
__device__ __forceinline__ void copy_bytes(std::uint32_t to, const void* from, std::uint32_t bytes,
                                           std::uint32_t barrier) {
  asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::"r"(to),
               "l"(__cvta_generic_to_global(from)), "r"(bytes), "r"(barrier)
               : "memory");
}

}  // namespace moeline::kernels
#endif
