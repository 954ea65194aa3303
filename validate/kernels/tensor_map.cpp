#include "validate/kernels/tensor_map.hpp"

#include "validate/kernels/descriptors.hpp"

namespace moeline::kernels {
namespace {

using Encode = decltype(&cuTensorMapEncodeTiled);

Encode encoder() {
  static const Encode found = [] {
    void* function = nullptr;
    cudaDriverEntryPointQueryResult result{};
    const cudaError_t error =
        cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &function, 12000, cudaEnableDefault, &result);
    return error == cudaSuccess && result == cudaDriverEntryPointSuccess ? reinterpret_cast<Encode>(function) : nullptr;
  }();
  return found;
}

}  // namespace

cudaError_t box_map(CUtensorMap& map, Element element, const void* base, std::uint64_t inner, std::uint64_t outer) {
  const Encode encode = encoder();
  if (encode == nullptr) return cudaErrorNotSupported;
  const bool scales = element == Element::scale_word;
  const std::uint32_t bytes = scales ? 4 : element == Element::bf16 ? 2 : 1;
  const CUtensorMapDataType type = scales                     ? CU_TENSOR_MAP_DATA_TYPE_UINT32
                                   : element == Element::bf16 ? CU_TENSOR_MAP_DATA_TYPE_BFLOAT16
                                                              : CU_TENSOR_MAP_DATA_TYPE_UINT8;
  const cuuint64_t sizes[2] = {inner, outer}, row_bytes[1] = {inner * bytes};
  const cuuint32_t box[2] = {scales ? 128 : kRowBytes / bytes, scales ? 1 : kBoxRows}, steps[2] = {1, 1};
  const CUresult result =
      encode(&map, type, 2, const_cast<void*>(base), sizes, row_bytes, box, steps, CU_TENSOR_MAP_INTERLEAVE_NONE,
             scales ? CU_TENSOR_MAP_SWIZZLE_NONE : CU_TENSOR_MAP_SWIZZLE_128B, CU_TENSOR_MAP_L2_PROMOTION_L2_256B,
             CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  return result == CUDA_SUCCESS ? cudaSuccess : cudaErrorInvalidValue;
}

}  // namespace moeline::kernels
