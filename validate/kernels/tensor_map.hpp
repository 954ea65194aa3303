// How does the copy engine find a box of a matrix, and how does it swizzle it?
//
// One kind of box serves all operands: 64 rows of 128 bytes, swizzled (descriptors.hpp). The encoder is a function of
// the driver, looked up at run time, so that nothing here needs a driver to link or to start.
#pragma once

#include <cuda.h>
#include <cuda_runtime_api.h>

#include <cstdint>

namespace moeline::kernels {

enum class Element { bf16, fp8, scale_word };  // scale_word: 32 bits, 128 of them a tile of scales

// A matrix [outer][inner], inner contiguous. cudaErrorInvalidValue if the driver refuses.
cudaError_t box_map(CUtensorMap& map, Element element, const void* base, std::uint64_t inner, std::uint64_t outer);

}  // namespace moeline::kernels
