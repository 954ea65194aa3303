// tcgen05: tensor cores of sm_100a and sm_103a, two blocks of a cluster working on one tile, accumulators in tensor
// memory.
//
// Tensor memory has 128 lanes of 512 columns of 32 bits per multiprocessor; warp w reads lanes 32 (w % 4) and on. Each
// block holds the accumulators of its 128 rows. Source: PTX ISA 9.0, "TensorCore 5th generation family instructions".
#pragma once

#ifdef __CUDACC__

#include "validate/kernels/descriptors.hpp"
#include "validate/kernels/ptx.cuh"

namespace moeline::kernels::sm100 {

inline constexpr int kTensorColumns = 512;
inline constexpr std::uint32_t kLeader = 0xFEFFFFFF;  // clears the bit of a shared address that tells the pair apart
inline constexpr std::uint16_t kBoth = 3;

__device__ __forceinline__ void allocate_tensor_memory(std::uint32_t result) {
  asm volatile(
      "tcgen05.alloc.cta_group::2.sync.aligned.shared::cta.b32 [%0], %1;\n"
      "tcgen05.relinquish_alloc_permit.cta_group::2.sync.aligned;" ::"r"(result),
      "n"(kTensorColumns)
      : "memory");
}
__device__ __forceinline__ void free_tensor_memory(std::uint32_t address) {
  asm volatile("tcgen05.dealloc.cta_group::2.sync.aligned.b32 %0, %1;" ::"r"(address), "n"(kTensorColumns));
}

// Around barriers that order tensor-core work with other threads.
__device__ __forceinline__ void after_barrier() { asm volatile("tcgen05.fence::after_thread_sync;" ::: "memory"); }
__device__ __forceinline__ void before_barrier() { asm volatile("tcgen05.fence::before_thread_sync;" ::: "memory"); }

// Into this block's memory, counted by the leader's barrier.
__device__ __forceinline__ void copy_box_for_pair(std::uint32_t to, const CUtensorMap* map, std::uint32_t barrier,
                                                  Coordinates at) {
  asm volatile(
      "cp.async.bulk.tensor.2d.cta_group::2.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%3, %4}], "
      "[%2];" ::"r"(to),
      "l"(map), "r"(barrier & kLeader), "r"(at.inner), "r"(at.outer)
      : "memory");
}

// One tile of scales, 512 bytes of each block's shared memory, to four columns; repeated for every quarter of the
// lanes.
__device__ __forceinline__ void copy_scales(std::uint32_t column, std::uint64_t from) {
  asm volatile("tcgen05.cp.cta_group::2.32x128b.warpx4 [%0], %1;" ::"r"(column), "l"(from) : "memory");
}

// keep = 0 starts a new sum.
__device__ __forceinline__ void multiply_mxfp8(std::uint32_t d, std::uint64_t a, std::uint64_t b,
                                               std::uint32_t instruction, std::uint32_t scale_a, std::uint32_t scale_b,
                                               std::uint32_t keep) {
  asm volatile(
      "{\n.reg .pred p;\nsetp.ne.b32 p, %6, 0;\n"
      "tcgen05.mma.cta_group::2.kind::mxf8f6f4.block_scale.block32 [%0], %1, %2, %3, [%4], [%5], p;\n}" ::"r"(d),
      "l"(a), "l"(b), "r"(instruction), "r"(scale_a), "r"(scale_b), "r"(keep)
      : "memory");
}
__device__ __forceinline__ void multiply_bf16(std::uint32_t d, std::uint64_t a, std::uint64_t b,
                                              std::uint32_t instruction, std::uint32_t keep) {
  asm volatile(
      "{\n.reg .pred p;\nsetp.ne.b32 p, %4, 0;\ntcgen05.mma.cta_group::2.kind::f16 [%0], %1, %2, %3, p;\n}" ::"r"(d),
      "l"(a), "l"(b), "r"(instruction), "r"(keep)
      : "memory");
}

// Arrives at this barrier of both blocks when everything issued so far is done.
__device__ __forceinline__ void commit(std::uint32_t barrier) {
  asm volatile(
      "tcgen05.commit.cta_group::2.mbarrier::arrive::one.shared::cluster.multicast::cluster.b64 [%0], %1;" ::"r"(
          barrier),
      "h"(kBoth)
      : "memory");
}

// 32 columns of this thread's lane.
__device__ __forceinline__ void load_columns(std::uint32_t (&r)[32], std::uint32_t address) {
  asm volatile(
      "tcgen05.ld.sync.aligned.32x32b.x32.b32 {"
      "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "
      "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31"
      "}, [%32];\ntcgen05.wait::ld.sync.aligned;"
      : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]), "=r"(r[4]), "=r"(r[5]), "=r"(r[6]), "=r"(r[7]), "=r"(r[8]),
        "=r"(r[9]), "=r"(r[10]), "=r"(r[11]), "=r"(r[12]), "=r"(r[13]), "=r"(r[14]), "=r"(r[15]), "=r"(r[16]),
        "=r"(r[17]), "=r"(r[18]), "=r"(r[19]), "=r"(r[20]), "=r"(r[21]), "=r"(r[22]), "=r"(r[23]), "=r"(r[24]),
        "=r"(r[25]), "=r"(r[26]), "=r"(r[27]), "=r"(r[28]), "=r"(r[29]), "=r"(r[30]), "=r"(r[31])
      : "r"(address)
      : "memory");
}

// 32 bytes, a whole sector.
__device__ __forceinline__ void store_sector(void* to, const std::uint32_t* words) {
  asm volatile("st.global.v8.b32 [%0], {%1, %2, %3, %4, %5, %6, %7, %8};" ::"l"(__cvta_generic_to_global(to)),
               "r"(words[0]), "r"(words[1]), "r"(words[2]), "r"(words[3]), "r"(words[4]), "r"(words[5]), "r"(words[6]),
               "r"(words[7])
               : "memory");
}

}  // namespace moeline::kernels::sm100
#endif
