#include "validate/kernels/grouped_gemm.hpp"

namespace moeline::kernels {
namespace {

// 90, 100, 103, ...; 0 if the device cannot be asked.
int generation() {
  int device = 0, major = 0, minor = 0;
  if (cudaGetDevice(&device) != cudaSuccess) return 0;
  cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device);
  cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, device);
  return 10 * major + minor;
}

}  // namespace

cudaError_t grouped_gemm(const GroupedGemm& gemm, cudaStream_t stream) {
  const int m = gemm.product == Product::wgrad ? gemm.m : 0, k = gemm.product == Product::wgrad ? 0 : gemm.k;
  if (gemm.rows % 128 != 0 || m % 128 != 0 || gemm.n % 128 != 0 || k % 128 != 0) return cudaErrorInvalidValue;
  const bool bf16 = gemm.operands == Operands::bf16, block_scaled = gemm.operands == Operands::mxfp8;
  const int device = generation();
  if (device == 90 && bf16) return grouped_gemm_sm90_bf16(gemm, stream);
  if (device == 90 && !block_scaled) return grouped_gemm_sm90_fp8(gemm, stream);
  if ((device == 100 || device == 103) && (bf16 || block_scaled)) return grouped_gemm_sm100(gemm, stream);
  if (device == 120 && block_scaled) return grouped_gemm_sm120(gemm, stream);
  return cudaErrorNoKernelImageForDevice;
}

}  // namespace moeline::kernels
