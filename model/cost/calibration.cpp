#include "cost/calibration.hpp"

namespace moeline {

const GemmFit& Calibration::gemm(DType operands) const {
  switch (operands) {
    case DType::fp8:
    case DType::mxfp8:
      return gemm_fp8;  // block scales applied by the tensor cores: same main loop
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
  return operands == DType::fp8_block && grouped_fp8_block.source != Source::bound ? &grouped_fp8_block : nullptr;
}

}  // namespace moeline
