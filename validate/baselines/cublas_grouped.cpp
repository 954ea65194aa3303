#include "validate/baselines/cublas_grouped.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace moeline {
namespace {

void require(cublasStatus_t status, const char* what) {
  if (status != CUBLAS_STATUS_SUCCESS) throw HardwareError(std::string(what) + ": " + cublasGetStatusString(status));
}

// bf16 matrices, `apart` elements from one to the next.
DeviceMemory pointers(const void* first, std::size_t apart, int experts) {
  std::vector<const void*> each;
  for (int e = 0; e < experts; ++e)
    each.push_back(static_cast<const std::uint16_t*>(first) + apart * static_cast<std::size_t>(e));
  return DeviceMemory::of(each);
}

}  // namespace

CublasGrouped::CublasGrouped(const GroupedShape& s, const void* a, const void* b, void* d) : shape_(s) {
  const auto elements = [](int rows, int columns) { return static_cast<std::size_t>(rows) * static_cast<std::size_t>(columns); };
  a_ = pointers(a, elements(s.segment, s.k), s.experts);
  b_ = pointers(b, elements(s.n, s.k), s.experts);
  d_ = pointers(d, elements(s.segment, s.n), s.experts);
  require(cublasCreate(&handle_), "cublasCreate");
}

CublasGrouped::~CublasGrouped() {
  if (handle_ != nullptr) cublasDestroy(handle_);
}

// The library thinks in columns: D^T = B A^T, where what lies as rows of k is a matrix with k first.
void CublasGrouped::multiply(cudaStream_t stream) {
  const cublasOperation_t of_b = shape_.b_along_n ? CUBLAS_OP_N : CUBLAS_OP_T, of_a = CUBLAS_OP_N;
  const int line_b = shape_.b_along_n ? shape_.n : shape_.k;
  const float one = 1, zero = 0;
  require(cublasSetStream(handle_, stream), "cublasSetStream");
  require(cublasGemmGroupedBatchedEx(handle_, &of_b, &of_a, &shape_.n, &shape_.m, &shape_.k, &one,
                                     b_.as<const void*>(), CUDA_R_16BF, &line_b, a_.as<const void*>(), CUDA_R_16BF,
                                     &shape_.k, &zero, d_.as<void*>(), CUDA_R_16BF, &shape_.n, 1, &shape_.experts,
                                     CUBLAS_COMPUTE_32F),
          "cublasGemmGroupedBatchedEx");
}

}  // namespace moeline
