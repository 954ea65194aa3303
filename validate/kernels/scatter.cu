#include "validate/kernels/launch.cuh"
#include "validate/kernels/scatter.cuh"

namespace moeline::kernels {
namespace {

__global__ void __launch_bounds__(kScatterThreads) scatter_kernel(const ScatterPart* parts, int count) {
  for (int i = 0; i < count; ++i) copy_message(parts[i], blockIdx.x, gridDim.x);
}

}  // namespace

cudaError_t scatter(const ScatterPart* parts, int count, int blocks, cudaStream_t stream) {
  return launch(scatter_kernel, static_cast<unsigned>(blocks), kScatterThreads, 0, stream, parts, count);
}

}  // namespace moeline::kernels
