// Starts a kernel and says whether that worked. Kernels that use no tensor cores are started through here alone, so
// that the tests can run the same sources on a CPU (tests/unit/kernels/on_cpu.hpp).
#pragma once

#ifdef __CUDACC__
#include <cuda_runtime.h>

namespace moeline::kernels {

template <class... Parameters>
cudaError_t launch(void (*kernel)(Parameters...), dim3 grid, unsigned threads, std::size_t shared, cudaStream_t stream,
                   Parameters... parameters) {
  kernel<<<grid, threads, shared, stream>>>(parameters...);
  return cudaGetLastError();
}

// Shared memory beyond 48 KB is given only to kernels that ask.
template <class... Parameters>
cudaError_t allow_shared(void (*kernel)(Parameters...), int bytes) {
  return cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes);
}

// Of the current device; 0 if it cannot be asked.
inline int multiprocessors() {
  int device = 0, count = 0;
  if (cudaGetDevice(&device) != cudaSuccess) return 0;
  return cudaDeviceGetAttribute(&count, cudaDevAttrMultiProcessorCount, device) == cudaSuccess ? count : 0;
}

inline cudaError_t clear(void* at, std::size_t bytes, cudaStream_t stream) {
  return cudaMemsetAsync(at, 0, bytes, stream);
}

template <class T>
__device__ T* dynamic_shared() {
  extern __shared__ uint4 dynamic_shared_memory[];
  return reinterpret_cast<T*>(dynamic_shared_memory);
}

}  // namespace moeline::kernels
#endif

// With either, the device's or the CPU's:
#include <cstdint>

namespace moeline::kernels {

// Swizzled tiles begin at multiples of 1024 bytes, and shared memory anywhere.
inline constexpr int kAlignedTo = 1024;
template <class Shared>
__device__ Shared& aligned_shared() {
  const auto begin = reinterpret_cast<std::uintptr_t>(dynamic_shared<std::uint8_t>());
  return *reinterpret_cast<Shared*>((begin + kAlignedTo - 1) & ~std::uintptr_t{kAlignedTo - 1});
}

// A kernel that finds its Shared there; `kMost` bytes are a block's on its generation.
template <class Shared, int kMost, class... Parameters>
cudaError_t launch_with(void (*kernel)(Parameters...), int blocks, int threads, cudaStream_t stream,
                        Parameters... parameters) {
  constexpr int kBytes = static_cast<int>(sizeof(Shared)) + kAlignedTo;
  static_assert(kBytes <= kMost);
  if (const cudaError_t error = allow_shared(kernel, kBytes)) return error;
  return launch(kernel, static_cast<unsigned>(blocks), static_cast<unsigned>(threads), static_cast<std::size_t>(kBytes),
                stream, parameters...);
}

}  // namespace moeline::kernels
