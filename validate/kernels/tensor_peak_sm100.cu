// Both kinds: pairs of blocks work on tiles of 256 x 256, 128 bytes of k per round, all from shared memory.
#include "validate/kernels/launch.cuh"
#include "validate/kernels/passes.hpp"
#include "validate/kernels/ptx_sm100.cuh"
#include "validate/kernels/scale_layout.hpp"
#include "validate/kernels/tensor_peak.cuh"

#if defined(__CUDA_ARCH_FEAT_SM100_ALL) || defined(__CUDA_ARCH_FEAT_SM103_ALL)
#define MOELINE_HAS_TCGEN05
#endif

namespace moeline::kernels {
namespace {

constexpr int kPair = 2, kThreads = 128, kInstructions = 4;
constexpr int kTileM = 256, kTileN = 256;
constexpr int kSharedMemory = 227 * 1024;
constexpr std::uint32_t kOperand = 2 * kBoxBytes;  // 128 rows of A, or half of the columns of B
constexpr std::uint8_t kOne = 127;                 // of E8M0

struct alignas(1024) Shared {
  std::uint8_t a[kOperand], b[kOperand];
  std::uint8_t scales[3 * kTileBytes];  // of A's rows and of all columns of B
  std::uint64_t done;
  std::uint32_t tensor_memory;
};

#ifdef MOELINE_HAS_TCGEN05
template <TensorKind kKind>
__device__ __forceinline__ void multiply_all(Shared& shared, std::uint32_t sum) {
  using namespace sm100;
  const std::uint32_t a = shared_address(shared.a), b = shared_address(shared.b), scales = sum + kTileN;
  if constexpr (kKind == TensorKind::mxfp8) {
    for (int i = 0; i < 3; ++i)
      copy_scales(scales + 4 * i, scale_descriptor(shared_address(shared.scales) + i * kTileBytes));
  }
  for (int round = 0; round < kPeakRounds; ++round) {
#pragma unroll
    for (int q = 0; q < kInstructions; ++q) {
      const std::uint64_t of_a = matrix_descriptor(a + q * k_step_bytes(Major::k), Major::k);
      const std::uint64_t of_b = matrix_descriptor(b + q * k_step_bytes(Major::k), Major::k);
      if constexpr (kKind == TensorKind::mxfp8) {
        multiply_mxfp8(sum, of_a, of_b, block_scaled_instruction(kTileM, kTileN, q), scales, scales + 4, round > 0);
      } else {
        multiply_bf16(sum, of_a, of_b, bf16_instruction(kTileM, kTileN, Major::k, Major::k), round > 0);
      }
    }
  }
  commit(shared_address(&shared.done));
}
#endif

template <TensorKind kKind>
__global__ void __cluster_dims__(kPair, 1, 1) __launch_bounds__(kThreads, 1) peak_kernel(float* to) {
#ifdef MOELINE_HAS_TCGEN05
  using namespace sm100;
  auto& shared = aligned_shared<Shared>();
  if (threadIdx.x < 32) allocate_tensor_memory(shared_address(&shared.tensor_memory));
  if (threadIdx.x == 0) {
    barrier_init(shared_address(&shared.done), 1);
    barriers_are_initialised();
  }
  for (std::uint32_t i = threadIdx.x; i < sizeof shared.scales; i += kThreads) shared.scales[i] = kOne;
  fill_operands(shared.a, 2 * kOperand);
  before_barrier();
  __syncthreads();
  cluster_meets();
  after_barrier();
  if (threadIdx.x == 0 && rank_in_cluster() == 0) multiply_all<kKind>(shared, shared.tensor_memory);
  barrier_wait(shared_address(&shared.done), 0);
  after_barrier();
  std::uint32_t sums[32];
  load_columns(sums, shared.tensor_memory + (threadIdx.x / 32 * 32 << 16));
  float values[32];
#pragma unroll
  for (int i = 0; i < 32; ++i) values[i] = __uint_as_float(sums[i]);
  keep_alive(values, to);
  __syncthreads();
  before_barrier();
  cluster_meets();  // nobody frees or leaves what the other still uses
  if (threadIdx.x < 32) free_tensor_memory(shared.tensor_memory);
#endif
}

}  // namespace

double tensor_peak_flops_sm100(TensorKind kind, int multiprocessors) {
  const double elements = kind == TensorKind::bf16 ? kRowBytes / 2 : kRowBytes;  // of k per round
  return 2.0 * kTileM * kTileN * elements * kPeakRounds * (multiprocessors / kPair);
}

cudaError_t tensor_peak_sm100(TensorKind kind, int multiprocessors, float* to, cudaStream_t stream) {
  const auto kernel = kind == TensorKind::bf16 ? peak_kernel<TensorKind::bf16> : peak_kernel<TensorKind::mxfp8>;
  return launch_with<Shared, kSharedMemory>(kernel, multiprocessors / kPair * kPair, kThreads, stream, to);
}

}  // namespace moeline::kernels
