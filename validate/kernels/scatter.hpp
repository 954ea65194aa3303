// One GPU's part of an exchange by stores: several buffers copied to as many places, also in peers' memory, by a given
// number of blocks of threads.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>

namespace moeline::kernels {

struct ScatterPart {
  std::uint8_t* to;
  const std::uint8_t* from;
  std::size_t bytes;  // both addresses are multiples of 16
};
// `parts` on the device. Every block works on all parts, in their order.
cudaError_t scatter(const ScatterPart* parts, int count, int blocks, cudaStream_t stream);

}  // namespace moeline::kernels
