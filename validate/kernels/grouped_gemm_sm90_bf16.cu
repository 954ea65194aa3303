#include "validate/kernels/grouped_gemm_sm90.cuh"

namespace moeline::kernels {

cudaError_t grouped_gemm_sm90_bf16(const GroupedGemm& gemm, cudaStream_t stream) {
  using namespace sm90;
  switch (gemm.product) {
    case Product::fprop:
      return launch<Config<Bf16, Major::k, Major::k, false>>(gemm, stream);
    case Product::dgrad:
      return launch<Config<Bf16, Major::k, Major::mn, false>>(gemm, stream);
    case Product::wgrad:
      return launch<Config<Bf16, Major::mn, Major::mn, true>>(gemm, stream);
  }
  return cudaErrorInvalidValue;
}

}  // namespace moeline::kernels
