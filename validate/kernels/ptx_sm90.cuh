// wgmma: 64 rows by 128 or 256 columns per instruction of a warpgroup, accumulators in registers. sm_90a only.
//
// Thread t of the warpgroup holds, for column block j of 8: elements 4j .. 4j+3 =
//   (row, c), (row, c + 1), (row + 8, c), (row + 8, c + 1)     row = 16 (t / 32) + t % 32 / 4,  c = 8j + t % 4 * 2
// Source: PTX ISA 9.0, "Asynchronous warpgroup-level matrix instructions".
#pragma once

#ifdef __CUDACC__

#include "validate/kernels/descriptors.hpp"
#include "validate/kernels/ptx.cuh"

#define MOELINE_EIGHT(d, i)                                                                                   \
  "+f"(d[i]), "+f"(d[i + 1]), "+f"(d[i + 2]), "+f"(d[i + 3]), "+f"(d[i + 4]), "+f"(d[i + 5]), "+f"(d[i + 6]), \
      "+f"(d[i + 7])

namespace moeline::kernels::sm90 {

__device__ __forceinline__ void wgmma_fence() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
__device__ __forceinline__ void wgmma_commit() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }
template <int kPending>
__device__ __forceinline__ void wgmma_wait() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(kPending) : "memory");
}

// The compiler knows nothing of registers that are written behind its back: no use of `d` crosses this line.
template <int kCount>
__device__ __forceinline__ void pinned(float (&d)[kCount]) {
#pragma unroll
  for (int i = 0; i < kCount; ++i) asm volatile("" : "+f"(d[i])::"memory");
}

template <int kRegisters>
__device__ __forceinline__ void give_up_registers() {
  asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(kRegisters));
}
template <int kRegisters>
__device__ __forceinline__ void take_registers() {
  asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(kRegisters));
}

// E4M3 x E4M3, both K-major, 32 of k; keep = 0 starts a new sum.
__device__ __forceinline__ void multiply_fp8(float (&d)[64], std::uint64_t a, std::uint64_t b, int keep) {
  asm volatile(
      "{\n.reg .pred p;\nsetp.ne.b32 p, %66, 0;\nwgmma.mma_async.sync.aligned.m64n128k32.f32.e4m3.e4m3 {"
      "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "
      "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, "
      "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, "
      "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63"
      "}, %64, %65, p, 1, 1;\n}"
      : MOELINE_EIGHT(d, 0), MOELINE_EIGHT(d, 8), MOELINE_EIGHT(d, 16), MOELINE_EIGHT(d, 24), MOELINE_EIGHT(d, 32),
        MOELINE_EIGHT(d, 40), MOELINE_EIGHT(d, 48), MOELINE_EIGHT(d, 56)
      : "l"(a), "l"(b), "r"(keep));
}

// bf16 x bf16, 16 of k, added to d.
template <Major kMajorA, Major kMajorB>
__device__ __forceinline__ void multiply_bf16(float (&d)[128], std::uint64_t a, std::uint64_t b) {
  asm volatile(
      "wgmma.mma_async.sync.aligned.m64n256k16.f32.bf16.bf16 {"
      "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "
      "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, "
      "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, "
      "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63, "
      "%64, %65, %66, %67, %68, %69, %70, %71, %72, %73, %74, %75, %76, %77, %78, %79, "
      "%80, %81, %82, %83, %84, %85, %86, %87, %88, %89, %90, %91, %92, %93, %94, %95, "
      "%96, %97, %98, %99, %100, %101, %102, %103, %104, %105, %106, %107, %108, %109, %110, %111, "
      "%112, %113, %114, %115, %116, %117, %118, %119, %120, %121, %122, %123, %124, %125, %126, %127"
      "}, %128, %129, 1, 1, 1, %130, %131;"
      : MOELINE_EIGHT(d, 0), MOELINE_EIGHT(d, 8), MOELINE_EIGHT(d, 16), MOELINE_EIGHT(d, 24), MOELINE_EIGHT(d, 32),
        MOELINE_EIGHT(d, 40), MOELINE_EIGHT(d, 48), MOELINE_EIGHT(d, 56), MOELINE_EIGHT(d, 64), MOELINE_EIGHT(d, 72),
        MOELINE_EIGHT(d, 80), MOELINE_EIGHT(d, 88), MOELINE_EIGHT(d, 96), MOELINE_EIGHT(d, 104), MOELINE_EIGHT(d, 112),
        MOELINE_EIGHT(d, 120)
      : "l"(a), "l"(b), "n"(static_cast<int>(kMajorA)), "n"(static_cast<int>(kMajorB)));
}

}  // namespace moeline::kernels::sm90
#endif
