// The one symbol of libmoeline_cuda.so; all else is in moeline_cuda_parts, which the GPU tests link too.
#include "validate/cuda/cuda_backend.hpp"

moeline::Backend* moeline_backend(int version) {
  return version == moeline::kBackendVersion ? moeline::cuda_backend().release() : nullptr;
}
