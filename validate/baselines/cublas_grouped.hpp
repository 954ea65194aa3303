// What does the vendor's library reach on many experts in one call? bf16 alone, sums in FP32, results in bf16.
//
//   D_e [m][n] = A_e [m][k] B_e [n][k]^T, or B_e as [k][n]; all experts of one size are one group of cuBLAS's
// cublasGemmGroupedBatchedEx (cuBLAS 12.5). It knows no other operands, and no FP32 results, so no wgrad.
#pragma once

#include <cublas_v2.h>
#include <cuda_runtime_api.h>

#include <cstddef>

#include "validate/cuda/device.hpp"

namespace moeline {

struct GroupedShape {
  int experts = 0, m = 0, n = 0, k = 0;
  int segment = 0;         // rows from one expert's A and D to the next
  bool b_along_n = false;  // B lies as [k][n]
};

class CublasGrouped {
 public:
  CublasGrouped(const GroupedShape& shape, const void* a, const void* b, void* d);
  ~CublasGrouped();
  CublasGrouped(const CublasGrouped&) = delete;
  CublasGrouped& operator=(const CublasGrouped&) = delete;
  void multiply(cudaStream_t stream);

 private:
  GroupedShape shape_;
  DeviceMemory a_, b_, d_;  // pointers, one of each expert
  cublasHandle_t handle_ = nullptr;
};

}  // namespace moeline
