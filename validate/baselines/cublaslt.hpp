// What does the vendor's library reach? Dense products of cuBLASLt, and experts one product after another.
//
//   D [m][n] = A [m][k] B [n][k]^T, or with operands that lie the other way round (bf16 alone)
//   format       scales                                                          sm_90   sm_100
//   bf16         -                                                                 x       x
//   fp8_tensor   one float each, fast accumulation                                 x       x
//   fp8_block    A float [k / 128][m], B float [n / 128][k / 128, padded to 4]     x
//   fp8_rows     A float [k / 128][m], B float [k / 128][n]                        x
//   mxfp8        tiled E8M0 (scale_layout.hpp)                                             x
// Grouped products of cuBLASLt itself came with cuBLAS 13.3 and 13.4; the 13.1 that this was built with has none, but
// those of cuBLAS (cublas_grouped.hpp).
#pragma once

#include <cublasLt.h>
#include <cuda_runtime_api.h>

#include <map>
#include <memory>
#include <tuple>

namespace moeline {

enum class LtFormat { bf16, fp8_tensor, fp8_block, fp8_rows, mxfp8 };

struct LtShape {
  LtFormat format = LtFormat::bf16;
  int m = 0, n = 0, k = 0;
  bool a_along_m = false, b_along_n = false;  // A lies as [k][m], B as [k][n]
  bool fp32_output = false;
  friend auto operator<=>(const LtShape&, const LtShape&) = default;
};

struct LtOperands {
  const void* a = nullptr;
  const void* b = nullptr;
  const void* scale_a = nullptr;
  const void* scale_b = nullptr;
  void* d = nullptr;
};

class CublasLt {
 public:
  CublasLt();  // HardwareError without a device
  ~CublasLt();
  CublasLt(const CublasLt&) = delete;
  CublasLt& operator=(const CublasLt&) = delete;

  // False if the library knows no algorithm for it on this device.
  bool supports(const LtShape& shape);
  void multiply(const LtShape& shape, const LtOperands& operands, cudaStream_t stream);

 private:
  struct Plan;
  Plan* plan(const LtShape& shape);  // nullptr: not supported

  cublasLtHandle_t handle_ = nullptr;
  void* workspace_ = nullptr;
  std::map<LtShape, std::unique_ptr<Plan>> plans_;
};

}  // namespace moeline
