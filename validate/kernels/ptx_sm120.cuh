// Block-scaled products of a warp, accumulators in registers: sm_120a, which has no tensor memory. Where everything
// lies: descriptors.hpp. Element i of d: row i / 2 * 8 + lane / 4, column lane % 4 * 2 + i % 2.
#pragma once

#ifdef __CUDACC__

#include "validate/kernels/descriptors.hpp"
#include "validate/kernels/ptx.cuh"

namespace moeline::kernels::sm120 {

__device__ __forceinline__ void load_matrices(std::uint32_t (&r)[4], std::uint32_t address) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(address)
               : "memory");
}

// E4M3 x E4M3, 16 x 8, 32 of k, scales from byte kByte of their registers; added to d.
template <int kByte>
__device__ __forceinline__ void multiply_mxfp8(float* d, const std::uint32_t (&a)[4], std::uint32_t b0,
                                               std::uint32_t b1, std::uint32_t scale_a, std::uint32_t scale_b) {
  asm volatile(
      "mma.sync.aligned.m16n8k32.row.col.kind::mxf8f6f4.block_scale.scale_vec::1X.f32.e4m3.e4m3.f32.ue8m0 "
      "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3}, {%10}, {%12, 0}, {%11}, {%12, 0};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1), "r"(scale_a), "r"(scale_b), "n"(kByte));
}

// 16 x 8, 16 of k.
__device__ __forceinline__ void multiply_bf16(float* d, const std::uint32_t (&a)[4], std::uint32_t b0,
                                              std::uint32_t b1) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
      "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

}  // namespace moeline::kernels::sm120
#endif
