#include "validate/kernels/grouped_gemm_sm90.cuh"

namespace moeline::kernels {

cudaError_t grouped_gemm_sm90_fp8(const GroupedGemm& gemm, cudaStream_t stream) {
  using namespace sm90;
  const bool sums = gemm.product == Product::wgrad;
  if (gemm.operands == Operands::mxfp8_exact) {
    return sums ? launch<Config<Fp8<32, true>, Major::k, Major::k, true>>(gemm, stream)
                : launch<Config<Fp8<32, true>, Major::k, Major::k, false>>(gemm, stream);
  }
  return sums ? launch<Config<Fp8<128, true>, Major::k, Major::k, true>>(gemm, stream)
              : launch<Config<Fp8<128, false>, Major::k, Major::k, false>>(gemm, stream);
}

}  // namespace moeline::kernels
