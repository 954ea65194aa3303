// What can memory, the FP32 units and a launch do at most? The plainest kernels there are.
//
//   copy   b = a          read   a, summed     write   b = constant     triad   c = a + 3 b
//   16 bytes a thread and access, four accesses under way per thread
//   fma    kFmaPerThread fused multiply-adds per thread in independent chains
//   empty  nothing;  clock  {nanoseconds, clocks} of one multiprocessor, for the frequency between two of them
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>

namespace moeline::kernels {

enum class Pass { copy, read, write, triad };

struct MemoryPass {
  Pass pass = Pass::copy;
  const void* a = nullptr;  // copy, read, triad
  const void* b = nullptr;  // triad
  void* to = nullptr;       // copy, write, triad; for read: 16 bytes that are written only if all sums are zero
  std::size_t bytes = 0;    // of each operand, a multiple of 16
};
cudaError_t memory_pass(const MemoryPass& pass, cudaStream_t stream);

inline constexpr int kFmaPerThread = 1 << 16;
// `blocks` of 256 threads; `to` as for read.
cudaError_t fma_pass(int blocks, float* to, cudaStream_t stream);

cudaError_t empty_pass(cudaStream_t stream);

struct ClockReading {
  unsigned long long nanoseconds, clocks;
};
cudaError_t read_clock(ClockReading* to, cudaStream_t stream);

// Holds the stream until *open is not 0, four seconds at most: what is queued behind it starts without waiting for
// launches.
cudaError_t gate_pass(const int* open, cudaStream_t stream);

// bf16 `to`[matrices][rows][columns]: element i of the tensor is pool[i % size], but rows from `filled` on are zeros in
// every matrix, padding. Operands of gigabytes in no time, which the CPU can repeat element by element.
struct FillFromPool {
  const void* pool = nullptr;  // bf16
  int size = 0;
  void* to = nullptr;
  int matrices = 1, rows = 0, filled = 0, columns = 0;
};
cudaError_t fill_from_pool(const FillFromPool& fill, cudaStream_t stream);

// Adds to *found how many of `count` 32-bit words are all ones: poison that nobody wrote over.
cudaError_t count_poison(const void* words, std::size_t count, unsigned long long* found, cudaStream_t stream);

// Products alone, on random bytes that stay in shared memory: what tensor cores reach under the power limit. FLOPs of
// one call. sm_90a: bf16 and fp8; sm_100a, sm_103a, sm_120a: bf16 and mxfp8.
enum class TensorKind { bf16, fp8, mxfp8 };
double tensor_peak_flops_sm90(TensorKind kind, int multiprocessors);
double tensor_peak_flops_sm100(TensorKind kind, int multiprocessors);
double tensor_peak_flops_sm120(TensorKind kind, int multiprocessors);
cudaError_t tensor_peak_sm90(TensorKind kind, int multiprocessors, float* to, cudaStream_t stream);
cudaError_t tensor_peak_sm100(TensorKind kind, int multiprocessors, float* to, cudaStream_t stream);
cudaError_t tensor_peak_sm120(TensorKind kind, int multiprocessors, float* to, cudaStream_t stream);

}  // namespace moeline::kernels
