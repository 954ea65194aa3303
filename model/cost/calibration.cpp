#include "cost/calibration.hpp"

namespace moeline {

const GemmFit& Calibration::gemm(DType operands) const {
  switch (operands) {
    case DType::fp8:
      return gemm_fp8;
    case DType::mxfp8:  // unless measured: block scales applied by the tensor cores, same main loop
      return gemm_mxfp8.source != Source::bound ? gemm_mxfp8 : gemm_fp8;
    case DType::fp8_block:
      return gemm_fp8_block;
    case DType::mxfp4:
    case DType::nvfp4:
      return gemm_fp4;
    case DType::fp32:
    case DType::tf32:
    case DType::bf16:
      break;
  }
  return gemm_bf16;
}

const GemmFit* Calibration::grouped(DType operands) const {
  const GemmFit* fit = operands == DType::bf16        ? &grouped_bf16
                       : operands == DType::fp8_block ? &grouped_fp8_block
                       : operands == DType::mxfp8     ? &grouped_mxfp8
                                                      : nullptr;
  return fit != nullptr && fit->source != Source::bound ? fit : nullptr;
}

}  // namespace moeline
