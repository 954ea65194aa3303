// Both kinds: a warp multiplies four strips of A with four of B, everything in registers.
#include "validate/kernels/launch.cuh"
#include "validate/kernels/passes.hpp"
#include "validate/kernels/ptx_sm120.cuh"
#include "validate/kernels/tensor_peak.cuh"

namespace moeline::kernels {
namespace {

constexpr int kWarps = 8, kThreads = kWarps * 32, kStrips = 4;
constexpr int kStripM = 16, kStripN = 8, kInstructionBytes = 32;  // of k
constexpr std::uint32_t kOnes = 0x7F7F7F7F;                       // of E8M0

template <TensorKind kKind>
__global__ void __launch_bounds__(kThreads, 1) peak_kernel(float* to) {
#ifdef __CUDA_ARCH_FEAT_SM120_ALL
  using namespace sm120;
  __shared__ std::uint32_t operands[kThreads];  // one random word a thread, turned into all of its registers
  fill_operands(reinterpret_cast<std::uint8_t*>(operands), sizeof operands);
  __syncthreads();
  std::uint32_t a[kStrips][4], b[kStrips][2];
#pragma unroll
  for (int strip = 0; strip < kStrips; ++strip) {
#pragma unroll
    for (int i = 0; i < 4; ++i) a[strip][i] = operands[(threadIdx.x + 4 * strip + i) % kThreads];
    b[strip][0] = operands[(threadIdx.x + 97 + strip) % kThreads],
    b[strip][1] = operands[(threadIdx.x + 191 + strip) % kThreads];
  }
  float sums[kStrips][kStrips][4] = {};
  for (int round = 0; round < kPeakRounds; ++round) {
#pragma unroll
    for (int i = 0; i < kStrips; ++i) {
#pragma unroll
      for (int j = 0; j < kStrips; ++j) {
        if constexpr (kKind == TensorKind::mxfp8) {
          multiply_mxfp8<0>(sums[i][j], a[i], b[j][0], b[j][1], kOnes, kOnes);
        } else {
          multiply_bf16(sums[i][j], a[i], b[j][0], b[j][1]);
        }
      }
    }
  }
#pragma unroll
  for (int i = 0; i < kStrips; ++i) {
#pragma unroll
    for (int j = 0; j < kStrips; ++j) keep_alive(sums[i][j], to);
  }
#endif
}

}  // namespace

double tensor_peak_flops_sm120(TensorKind kind, int multiprocessors) {
  const double elements = kind == TensorKind::bf16 ? kInstructionBytes / 2 : kInstructionBytes;
  return 2.0 * kStrips * kStripM * kStrips * kStripN * elements * kPeakRounds * kWarps * multiprocessors;
}

cudaError_t tensor_peak_sm120(TensorKind kind, int multiprocessors, float* to, cudaStream_t stream) {
  const auto kernel = kind == TensorKind::bf16 ? peak_kernel<TensorKind::bf16> : peak_kernel<TensorKind::mxfp8>;
  return launch(kernel, static_cast<unsigned>(multiprocessors), kThreads, 0, stream, to);
}

}  // namespace moeline::kernels
