// The products of expert layers: D = A B for every expert at once, experts of any number of rows, also none.
//
//   fprop   Y [rows][n]    = X [rows][k]  W_e [n][k]^T            e: the expert whose segment the row is in
//   dgrad   dX [rows][n]   = dY [rows][k] W_e [k][n]
//   wgrad   dW_e [m][n]    = dY_e [rows_e][m]^T X_e [rows_e][n]   FP32
// bf16 takes operands as they lie there. FP8 is multiplied K-major only, so that it takes W_e as [n][k] in dgrad, and
// dY^T [m][rows], X^T [n][rows] in wgrad: the column-wise copies of quantise.hpp. Rows of padding hold zeros.
//
//   Operands        scale_a                    scale_b                                        runs on
//   bf16            -                          -                                              sm_90a, sm_100a, sm_103a
//   mxfp8_folded    float [k / 128][rows]      fprop, dgrad: float [experts n], fold_rows     sm_90a
//                                              wgrad: float [rows / 128][n]
//   mxfp8_exact     float [k / 32][rows]       float [experts][k / 32][n], [rows / 32][n]     sm_90a
//   mxfp8           tiled E8M0                 tiled E8M0                                     sm_100a, sm_103a, sm_120a
// m, n, k are multiples of 128, segments too (routing.hpp).
#pragma once

#include <cuda_runtime_api.h>

namespace moeline::kernels {

enum class Product { fprop, dgrad, wgrad };
enum class Operands { bf16, mxfp8_folded, mxfp8_exact, mxfp8 };

struct GroupedGemm {
  Product product = Product::fprop;
  Operands operands = Operands::bf16;
  const void* a = nullptr;
  const void* b = nullptr;
  const void* scale_a = nullptr;
  const void* scale_b = nullptr;
  void* d = nullptr;
  const int* offsets = nullptr;  // on the device, experts + 1
  int experts = 0;
  int rows = 0;      // of all segments together
  int m = 0;         // wgrad
  int n = 0, k = 0;  // k: fprop, dgrad
};

// cudaErrorNoKernelImageForDevice where this build or this device has no such kernel, cudaErrorInvalidValue for sizes
// that are no multiples of 128.
cudaError_t grouped_gemm(const GroupedGemm& gemm, cudaStream_t stream);

// By generation; grouped_gemm() chooses.
cudaError_t grouped_gemm_sm90_bf16(const GroupedGemm& gemm, cudaStream_t stream);
cudaError_t grouped_gemm_sm90_fp8(const GroupedGemm& gemm, cudaStream_t stream);
cudaError_t grouped_gemm_sm100(const GroupedGemm& gemm, cudaStream_t stream);
cudaError_t grouped_gemm_sm120(const GroupedGemm& gemm, cudaStream_t stream);

}  // namespace moeline::kernels
