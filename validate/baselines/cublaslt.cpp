#include "validate/baselines/cublaslt.hpp"

#include <string>

#include "validate/backend.hpp"

namespace moeline {
namespace {

constexpr std::size_t kWorkspace = std::size_t{64} << 20;

void require(cublasStatus_t status, const char* call) {
  if (status != CUBLAS_STATUS_SUCCESS) throw HardwareError(std::string(call) + ": " + cublasLtGetStatusString(status));
}
#define MOELINE_LT(call) require(call, #call)

template <class T>
void set(cublasLtMatmulDesc_t operation, cublasLtMatmulDescAttributes_t attribute, T value) {
  MOELINE_LT(cublasLtMatmulDescSetAttribute(operation, attribute, &value, sizeof(value)));
}

// The library counts columns first: it computes D^T [n][m] = B A^T, so that our B is its A.
void set_scale_modes(cublasLtMatmulDesc_t operation, LtFormat format) {
  using Mode = cublasLtMatmulMatrixScale_t;
  const auto both = [&](Mode of_ours_b, Mode of_ours_a) {
    set(operation, CUBLASLT_MATMUL_DESC_A_SCALE_MODE, of_ours_b);
    set(operation, CUBLASLT_MATMUL_DESC_B_SCALE_MODE, of_ours_a);
  };
  switch (format) {
    case LtFormat::bf16:
      return;
    case LtFormat::fp8_tensor:
      set(operation, CUBLASLT_MATMUL_DESC_FAST_ACCUM, std::int8_t{1});
      return;
    case LtFormat::fp8_block:
      return both(CUBLASLT_MATMUL_MATRIX_SCALE_BLK128x128_32F, CUBLASLT_MATMUL_MATRIX_SCALE_VEC128_32F);
    case LtFormat::fp8_rows:
      return both(CUBLASLT_MATMUL_MATRIX_SCALE_VEC128_32F, CUBLASLT_MATMUL_MATRIX_SCALE_VEC128_32F);
    case LtFormat::mxfp8:
      return both(CUBLASLT_MATMUL_MATRIX_SCALE_VEC32_UE8M0, CUBLASLT_MATMUL_MATRIX_SCALE_VEC32_UE8M0);
  }
}

cublasLtMatrixLayout_t layout(cudaDataType_t type, int lines, int length) {
  cublasLtMatrixLayout_t made = nullptr;
  MOELINE_LT(cublasLtMatrixLayoutCreate(&made, type, static_cast<std::uint64_t>(length),
                                        static_cast<std::uint64_t>(lines), length));
  return made;
}

}  // namespace

struct CublasLt::Plan {
  explicit Plan(const LtShape& shape) {
    const cudaDataType_t type = shape.format == LtFormat::bf16 ? CUDA_R_16BF : CUDA_R_8F_E4M3;
    MOELINE_LT(cublasLtMatmulDescCreate(&operation, CUBLAS_COMPUTE_32F, CUDA_R_32F));
    set(operation, CUBLASLT_MATMUL_DESC_TRANSA, shape.b_along_n ? CUBLAS_OP_N : CUBLAS_OP_T);
    set(operation, CUBLASLT_MATMUL_DESC_TRANSB, shape.a_along_m ? CUBLAS_OP_T : CUBLAS_OP_N);
    set_scale_modes(operation, shape.format);
    a = shape.a_along_m ? layout(type, shape.k, shape.m) : layout(type, shape.m, shape.k);
    b = shape.b_along_n ? layout(type, shape.k, shape.n) : layout(type, shape.n, shape.k);
    d = layout(shape.fp32_output ? CUDA_R_32F : CUDA_R_16BF, shape.m, shape.n);
  }
  ~Plan() {
    cublasLtMatrixLayoutDestroy(d);
    cublasLtMatrixLayoutDestroy(b);
    cublasLtMatrixLayoutDestroy(a);
    cublasLtMatmulDescDestroy(operation);
  }
  Plan(const Plan&) = delete;
  Plan& operator=(const Plan&) = delete;

  bool find_algorithm(cublasLtHandle_t handle) {
    cublasLtMatmulPreference_t preference = nullptr;
    MOELINE_LT(cublasLtMatmulPreferenceCreate(&preference));
    MOELINE_LT(cublasLtMatmulPreferenceSetAttribute(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &kWorkspace,
                                                    sizeof(kWorkspace)));
    cublasLtMatmulHeuristicResult_t best{};
    int found = 0;
    const cublasStatus_t status =
        cublasLtMatmulAlgoGetHeuristic(handle, operation, b, a, d, d, preference, 1, &best, &found);
    cublasLtMatmulPreferenceDestroy(preference);
    if (status != CUBLAS_STATUS_SUCCESS || found == 0) return false;
    algorithm = best.algo;
    return true;
  }

  cublasLtMatmulDesc_t operation = nullptr;
  cublasLtMatrixLayout_t a = nullptr, b = nullptr, d = nullptr;
  cublasLtMatmulAlgo_t algorithm{};
};

CublasLt::CublasLt() {
  MOELINE_LT(cublasLtCreate(&handle_));
  if (cudaMalloc(&workspace_, kWorkspace) != cudaSuccess) throw HardwareError("no memory for cuBLASLt's workspace");
}

CublasLt::~CublasLt() {
  cudaFree(workspace_);
  plans_.clear();
  cublasLtDestroy(handle_);
}

CublasLt::Plan* CublasLt::plan(const LtShape& shape) {
  const auto known = plans_.find(shape);
  if (known != plans_.end()) return known->second.get();
  auto made = std::make_unique<Plan>(shape);
  // Without pointers to scales the heuristic refuses block-scaled products; any aligned address will do.
  if (shape.format != LtFormat::bf16) {
    set(made->operation, CUBLASLT_MATMUL_DESC_A_SCALE_POINTER, workspace_);
    set(made->operation, CUBLASLT_MATMUL_DESC_B_SCALE_POINTER, workspace_);
  }
  if (!made->find_algorithm(handle_)) made.reset();
  return plans_.emplace(shape, std::move(made)).first->second.get();
}

bool CublasLt::supports(const LtShape& shape) { return plan(shape) != nullptr; }

void CublasLt::multiply(const LtShape& shape, const LtOperands& operands, cudaStream_t stream) {
  Plan* const p = plan(shape);
  if (p == nullptr) throw HardwareError("cuBLASLt has no algorithm for this product");
  if (shape.format != LtFormat::bf16) {
    set(p->operation, CUBLASLT_MATMUL_DESC_A_SCALE_POINTER, operands.scale_b);
    set(p->operation, CUBLASLT_MATMUL_DESC_B_SCALE_POINTER, operands.scale_a);
  }
  const float one = 1, zero = 0;
  MOELINE_LT(cublasLtMatmul(handle_, p->operation, &one, operands.b, p->b, operands.a, p->a, &zero, operands.d, p->d,
                            operands.d, p->d, &p->algorithm, workspace_, kWorkspace, stream));
}

}  // namespace moeline
