#include "validate/kernels/routing.hpp"

#include "validate/kernels/launch.cuh"
#include "validate/kernels/mxfp8.cuh"
#include "validate/kernels/scale_layout.hpp"

namespace moeline::kernels {
namespace {

constexpr unsigned kAllLanes = 0xFFFFFFFF;
constexpr int kWarps = 8, kThreads = kWarps * 32;
constexpr int kPerLane = kMostExperts / 32;
constexpr int kRowThreads = 128;

struct Scored {
  float score;
  int expert;
};

__device__ __forceinline__ Scored better(Scored a, Scored b) {
  const bool second = b.score > a.score || (b.score == a.score && b.expert < a.expert);
  return second ? b : a;
}

__device__ __forceinline__ Scored best_of_warp(Scored mine) {
  for (int lanes = 16; lanes > 0; lanes /= 2) {
    const Scored other{__shfl_xor_sync(kAllLanes, mine.score, lanes), __shfl_xor_sync(kAllLanes, mine.expert, lanes)};
    mine = better(mine, other);
  }
  return mine;
}

__device__ __forceinline__ float sum_of_warp(float x) {
  for (int lanes = 16; lanes > 0; lanes /= 2) x += __shfl_xor_sync(kAllLanes, x, lanes);
  return x;
}

// Softmax keeps the order, so the choice is made on logits, and only those chosen are turned into weights.
__device__ void route_token(const Route& pass, int token, int* histogram) {
  const int lane = threadIdx.x % 32;
  float logit[kPerLane];
#pragma unroll
  for (int i = 0; i < kPerLane; ++i) {
    const int expert = i * 32 + lane;
    logit[i] = expert < pass.experts ? pass.logits[static_cast<std::size_t>(token) * pass.experts + expert] : -INFINITY;
  }
  float sum = 0, largest = 0;
  Scored mine{};  // lane i keeps the i-th choice
  for (int round = 0; round < pass.top_k; ++round) {
    Scored best{-INFINITY, kMostExperts};
#pragma unroll
    for (int i = 0; i < kPerLane; ++i) best = better(best, {logit[i], i * 32 + lane});
    best = best_of_warp(best);
    if (round == 0) {
      largest = best.score;
#pragma unroll
      for (int i = 0; i < kPerLane; ++i) sum += __expf(logit[i] - largest);
    }
#pragma unroll
    for (int i = 0; i < kPerLane; ++i) {
      if (best.expert == i * 32 + lane) logit[i] = -INFINITY;
    }
    if (lane == round) mine = best;
  }
  const bool chosen = lane < pass.top_k;
  const bool softmax = pass.score == RouterScore::softmax;
  const float score = !chosen ? 0.0f : softmax ? __expf(mine.score - largest) : 1.0f / (1.0f + __expf(-mine.score));
  const float total = sum_of_warp(softmax ? sum : score);
  if (chosen) {
    const std::size_t at = static_cast<std::size_t>(token) * pass.top_k + lane;
    pass.chosen[at] = mine.expert;
    pass.weights[at] = score / total;
    atomicAdd(&histogram[mine.expert], 1);
  }
}

__global__ void __launch_bounds__(kThreads) route_kernel(Route pass) {
  __shared__ int histogram[kMostExperts];
  for (int i = threadIdx.x; i < pass.experts; i += kThreads) histogram[i] = 0;
  __syncthreads();
  const int step = gridDim.x * kWarps;
  for (int token = blockIdx.x * kWarps + threadIdx.x / 32; token < pass.tokens; token += step)
    route_token(pass, token, histogram);
  __syncthreads();
  for (int i = threadIdx.x; i < pass.experts; i += kThreads) {
    if (histogram[i] > 0) atomicAdd(&pass.counts[i], histogram[i]);
  }
}

// Sum over the threads before this one; `scratch` holds one int per warp.
__device__ int exclusive_sum(int mine, int* scratch, int& total) {
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  int inclusive = mine;
  for (int lanes = 1; lanes < 32; lanes *= 2) {
    const int below = __shfl_up_sync(kAllLanes, inclusive, lanes);
    if (lane >= lanes) inclusive += below;
  }
  __syncthreads();  // the previous call's readers are done
  if (lane == 31) scratch[warp] = inclusive;
  __syncthreads();
  int before = 0;
  total = 0;
  for (int w = 0; w < static_cast<int>(blockDim.x) / 32; ++w) {
    if (w < warp) before += scratch[w];
    total += scratch[w];
  }
  return before + inclusive - mine;
}

__global__ void __launch_bounds__(kMostExperts) offsets_kernel(Place pass) {
  __shared__ int scratch[kMostExperts / 32];
  const int expert = threadIdx.x;
  const int rows = expert < pass.experts ? (pass.counts[expert] + kTile - 1) / kTile * kTile : 0;
  int total = 0;
  const int before = exclusive_sum(rows, scratch, total);
  if (expert < pass.experts) pass.offsets[expert] = before;
  if (expert == 0) pass.offsets[pass.experts] = total;
}

// A block of threads walks all choices for its expert: order is kept, and the list is read from L2.
__global__ void __launch_bounds__(kThreads) place_kernel(Place pass) {
  __shared__ int scratch[kWarps];
  const int expert = blockIdx.x, end = pass.offsets[expert + 1];
  int row = pass.offsets[expert];
  const int choices = pass.tokens * pass.top_k;
  for (int first = 0; first < choices; first += kThreads) {
    const int choice = first + static_cast<int>(threadIdx.x);
    const bool mine = choice < choices && __ldg(pass.chosen + choice) == expert;
    int total = 0;
    const int before = exclusive_sum(mine ? 1 : 0, scratch, total);
    if (mine) {
      pass.row_of[choice] = row + before;
      pass.source_row[row + before] = choice / pass.top_k;
    }
    row += total;
  }
  for (int padding = row + threadIdx.x; padding < end; padding += kThreads) pass.source_row[padding] = -1;
}

__global__ void __launch_bounds__(kRowThreads) permute_kernel(Permute pass) {
  const int from = pass.source_row[blockIdx.x], chunks = pass.hidden / 8;
  const uint4* source = static_cast<const uint4*>(pass.input) + static_cast<std::size_t>(max(from, 0)) * chunks;
  uint4* to = static_cast<uint4*>(pass.output) + static_cast<std::size_t>(blockIdx.x) * chunks;
#pragma unroll 4
  for (int i = threadIdx.x; i < chunks; i += kRowThreads)
    __stcs(to + i, from < 0 ? uint4{0, 0, 0, 0} : __ldg(source + i));
}

__global__ void __launch_bounds__(kRowThreads) unpermute_kernel(Unpermute pass) {
  const int chunks = pass.hidden / 8;
  const std::size_t token = blockIdx.x;
  const int* rows = pass.row_of + token * pass.top_k;
  const float* weights = pass.weights + token * pass.top_k;
  for (int i = threadIdx.x; i < chunks; i += kRowThreads) {
    float sum[8] = {};
#pragma unroll 4
    for (int k = 0; k < pass.top_k; ++k) {
      const Eight x =
          eight(__ldcs(static_cast<const uint4*>(pass.input) + static_cast<std::size_t>(rows[k]) * chunks + i));
      const float weight = weights[k];
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        const float2 pair = unpacked(x.pair(j));
        sum[2 * j] += weight * pair.x;
        sum[2 * j + 1] += weight * pair.y;
      }
    }
    Eight y;
#pragma unroll
    for (int j = 0; j < 4; ++j) y.words[j] = bits_of(__floats2bfloat162_rn(sum[2 * j], sum[2 * j + 1]));
    __stcs(static_cast<uint4*>(pass.output) + token * chunks + i, y.bits());
  }
}

}  // namespace

cudaError_t route(const Route& pass, cudaStream_t stream) {
  if (pass.experts > kMostExperts || pass.top_k > kMostChosen || pass.top_k > pass.experts)
    return cudaErrorInvalidValue;
  if (const cudaError_t error = clear(pass.counts, sizeof(int) * static_cast<std::size_t>(pass.experts), stream))
    return error;
  const unsigned blocks =
      static_cast<unsigned>(divided_up(static_cast<std::size_t>(pass.tokens), 4 * kWarps));  // 4 tokens a warp
  return launch(route_kernel, blocks, kThreads, 0, stream, pass);
}

cudaError_t place(const Place& pass, cudaStream_t stream) {
  if (const cudaError_t error = launch(offsets_kernel, 1, kMostExperts, 0, stream, pass)) return error;
  return launch(place_kernel, static_cast<unsigned>(pass.experts), kThreads, 0, stream, pass);
}

cudaError_t permute(const Permute& pass, cudaStream_t stream) {
  if (pass.hidden % 8 != 0) return cudaErrorInvalidValue;
  if (pass.rows == 0) return cudaSuccess;
  return launch(permute_kernel, static_cast<unsigned>(pass.rows), kRowThreads, 0, stream, pass);
}

cudaError_t unpermute(const Unpermute& pass, cudaStream_t stream) {
  if (pass.hidden % 8 != 0) return cudaErrorInvalidValue;
  return launch(unpermute_kernel, static_cast<unsigned>(pass.tokens), kRowThreads, 0, stream, pass);
}

}  // namespace moeline::kernels
