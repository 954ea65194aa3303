#include "validate/kernels/passes.hpp"
#include "validate/kernels/ptx_sm90.cuh"
#include "validate/kernels/tensor_peak.cuh"

namespace moeline::kernels {
namespace {

constexpr int kWarpgroups = 2, kThreads = kWarpgroups * 128, kInFlight = 4;
constexpr int kTileN = 256, kBytes = (kWarpgroups * 64 + kTileN) * kRowBytes;

// Both kinds: kWarpgroups x 64 rows, 256 columns, 128 bytes of k per round.
template <TensorKind kKind>
__global__ void __launch_bounds__(kThreads, 1) peak_kernel(float* to) {
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
  using namespace sm90;
  extern __shared__ std::uint8_t unaligned[];
  auto* tile =
      reinterpret_cast<std::uint8_t*>((reinterpret_cast<std::uintptr_t>(unaligned) + 1023) & ~std::uintptr_t{1023});
  fill_operands(tile, kBytes);
  __syncthreads();
  const std::uint32_t a = shared_address(tile) + threadIdx.x / 128 * kBoxBytes,
                      b = shared_address(tile) + kWarpgroups * kBoxBytes;
  if constexpr (kKind == TensorKind::bf16) {
    float sum[128] = {};
    for (int round = 0; round < kPeakRounds; ++round) {
      pinned(sum);
      wgmma_fence();
#pragma unroll
      for (int q = 0; q < kInFlight; ++q) {
        multiply_bf16<Major::k, Major::k>(sum, matrix_descriptor(a + q * 32, Major::k),
                                          matrix_descriptor(b + q * 32, Major::k));
      }
      wgmma_commit();
      wgmma_wait<1>();
    }
    wgmma_wait<0>();
    pinned(sum);
    keep_alive(sum, to);
  } else {
    float left[64] = {}, right[64] = {};
    for (int round = 0; round < kPeakRounds; ++round) {
      pinned(left), pinned(right);
      wgmma_fence();
#pragma unroll
      for (int q = 0; q < kInFlight; ++q) {
        multiply_fp8(left, matrix_descriptor(a + q * 32, Major::k), matrix_descriptor(b + q * 32, Major::k), 1);
        multiply_fp8(right, matrix_descriptor(a + q * 32, Major::k),
                     matrix_descriptor(b + 2 * kBoxBytes + q * 32, Major::k), 1);
      }
      wgmma_commit();
      wgmma_wait<1>();
    }
    wgmma_wait<0>();
    pinned(left), pinned(right);
    keep_alive(left, to), keep_alive(right, to);
  }
#endif
}

}  // namespace

double tensor_peak_flops_sm90(TensorKind kind, int multiprocessors) {
  const double elements = kind == TensorKind::bf16 ? kRowBytes / 2 : kRowBytes;  // of k per round
  return 2.0 * kWarpgroups * 64 * kTileN * elements * kPeakRounds * multiprocessors;
}

cudaError_t tensor_peak_sm90(TensorKind kind, int multiprocessors, float* to, cudaStream_t stream) {
  const auto kernel = kind == TensorKind::bf16 ? peak_kernel<TensorKind::bf16> : peak_kernel<TensorKind::fp8>;
  constexpr int kShared = kBytes + 1024;
  if (const cudaError_t error = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, kShared))
    return error;
  kernel<<<static_cast<unsigned>(multiprocessors), kThreads, kShared, stream>>>(to);
  return cudaGetLastError();
}

}  // namespace moeline::kernels
