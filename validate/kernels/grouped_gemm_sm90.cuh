// Grouped products on sm_90a: one persistent kernel for bf16 and FP8, all three products.
//
//   cluster of 2 blocks side by side along n: they share rows of A, each copies half and sends it to both (multicast)
//   block = 1 copying warpgroup + 2 multiplying ones, 64 rows x tile_n columns each
//
//   copier   wait empty -> tensor copies of A, B, scales -> full    a ring of stages in shared memory, 128 bytes of k
//   math     wait full -> wgmma -> (FP8: add scaled partial sums to FP32 registers) -> empty, of both blocks
//            last stage -> registers to memory in 16-byte stores, while the copier fills the ring for the next tile
// The two multiplying warpgroups never meet, so one may store or rescale while the other multiplies.
//
// FP8 has no block scales in hardware here. A partial sum p over kPromote of k is added as (s_a s_b) p:
//   kPromote 128, B's scale left to the epilogue   1 FMA per element and 128 of k     folded x rows
//   kPromote 128                                   1 FMA, 1 multiplication            folded x folded
//   kPromote 32                                    the same every 32 of k: exact MXFP8, bound by the FP32 units
// wgmma adds FP8 products with about 13 bits of fraction; promotion every 128 of k keeps that below MXFP8's own error.
#pragma once

#include <cuda_bf16.h>

#include "validate/kernels/grouped_gemm.hpp"
#include "validate/kernels/launch.cuh"
#include "validate/kernels/ptx_sm90.cuh"
#include "validate/kernels/quad.cuh"
#include "validate/kernels/scale_layout.hpp"
#include "validate/kernels/tensor_map.hpp"
#include "validate/kernels/tile_schedule.hpp"

namespace moeline::kernels::sm90 {

inline constexpr int kCluster = 2, kMathWarpgroups = 2, kMathWarps = kMathWarpgroups * 4;
inline constexpr int kThreads = (kMathWarpgroups + 1) * 128;
inline constexpr int kTileM = kMathWarpgroups * 64;
inline constexpr int kSharedMemory = 227 * 1024;  // of a block on sm_90

struct Bf16 {
  static constexpr bool kFp8 = false;
  static constexpr int kTileN = 256, kPromote = 0;
  static constexpr bool kBlockScalesOfB = false;
};
template <int kPromoteEvery, bool kScalesOfBInBlocks>
struct Fp8 {
  static constexpr bool kFp8 = true;
  static constexpr int kTileN = 128, kPromote = kPromoteEvery;
  static constexpr bool kBlockScalesOfB = kScalesOfBInBlocks;
};

// One kernel: number format, orientation of operands, and whether segments are tiled or summed over.
template <class NumberFormat, Major kOfA, Major kOfB, bool kSegmentsAreSummed>
struct Config : NumberFormat {
  using Format = NumberFormat;
  using Output = std::conditional_t<kSegmentsAreSummed, float, __nv_bfloat16>;
  static constexpr Major kMajorA = kOfA, kMajorB = kOfB;
  static constexpr bool kSumSegments = kSegmentsAreSummed;
  static constexpr int kStepK = Format::kFp8 ? 128 : 64;  // 128 bytes
  static constexpr int kBoxesA = kTileM / 64, kBoxesB = Format::kTileN / 64;
  static constexpr int kPromotions = Format::kFp8 ? kStepK / Format::kPromote : 0;  // per stage
  static constexpr int kScaleBytesA = kPromotions * kTileM * 4;
  static constexpr int kScaleBytesB = Format::kBlockScalesOfB ? kPromotions * Format::kTileN * 4 : 0;
  static constexpr int kTileBytes = (kBoxesA + kBoxesB) * static_cast<int>(kBoxBytes);
  static constexpr int kStageBytes = kTileBytes + kScaleBytesA + kScaleBytesB;
  static constexpr int kStages = (kSharedMemory - 2048) / kStageBytes;  // 1024 for alignment, the rest for barriers
  static_assert(kBoxesA == kCluster, "each block of the cluster copies one box of A for both");
  static_assert(kStages >= 3);
};

template <class C>
struct alignas(1024) Shared {
  std::uint8_t a[C::kStages][C::kBoxesA * kBoxBytes];
  std::uint8_t b[C::kStages][C::kBoxesB * kBoxBytes];
  float scale_a[C::kStages][C::kPromotions > 0 ? C::kPromotions : 1][C::kPromotions > 0 ? kTileM : 4];
  float scale_b[C::kStages][C::kBlockScalesOfB ? C::kPromotions : 1][C::kBlockScalesOfB ? C::kTileN : 4];
  std::uint64_t full[C::kStages], empty[C::kStages];
};

struct Arguments {
  TileSchedule schedule;
  const float* scale_a;
  const float* scale_b;
  void* d;
  int lines_a, n, k;  // lines_a: along which scale_a is contiguous
};

// Where the tile's operands start: along m or n, and along k; `steps` stages.
struct Origin {
  int a, b, k_of_a, k_of_b, steps;
};

template <class C>
__device__ __forceinline__ Origin origin(const Arguments& arguments, const Tile& tile) {
  if constexpr (C::kSumSegments) return {tile.m, tile.n, tile.row, tile.row, tile.rows / C::kStepK};
  const bool k_major = C::kMajorB == Major::k;
  return {tile.row + tile.m, (k_major ? tile.expert * arguments.n : 0) + tile.n, 0,
          k_major ? 0 : tile.expert * arguments.k, arguments.k / C::kStepK};
}

__device__ __forceinline__ Coordinates box_at(Major major, int line, int k) {
  return major == Major::k ? Coordinates{k, line} : Coordinates{line, k};
}

// This block's columns of the cluster's tile; false if there are no more.
template <class C>
__device__ __forceinline__ bool take(TileCursor& cursor, const TileSchedule& schedule, Tile& tile) {
  if (!cursor.take(schedule, static_cast<int>(gridDim.x) / kCluster, tile)) return false;
  tile.n += static_cast<int>(rank_in_cluster()) * C::kTileN;
  return true;
}

// --- the copying thread --------------------------------------------------------------------------------------------
template <class C>
__device__ __forceinline__ void copy_scales(Shared<C>& shared, const Arguments& arguments, const Tile& tile,
                                            const Origin& from, int step, int stage, std::uint32_t full) {
  const int block = step * C::kPromotions;
  const int first_a = from.k_of_a / C::kPromote + block;
  // The other block of an odd last tile has no columns: it reads the last ones again.
  const int n = min(tile.n, arguments.n - C::kTileN);
  const int first_b =
      C::kSumSegments ? from.k_of_b / C::kPromote + block : tile.expert * (arguments.k / C::kPromote) + block;
#pragma unroll
  for (int i = 0; i < C::kPromotions; ++i) {
    copy_bytes(shared_address(shared.scale_a[stage][i]),
               arguments.scale_a + static_cast<std::size_t>(first_a + i) * arguments.lines_a + from.a, kTileM * 4,
               full);
    if constexpr (C::kBlockScalesOfB) {
      copy_bytes(shared_address(shared.scale_b[stage][i]),
                 arguments.scale_b + static_cast<std::size_t>(first_b + i) * arguments.n + n, C::kTileN * 4, full);
    }
  }
}

template <class C>
__device__ __forceinline__ void copy_tiles(Shared<C>& shared, const Arguments& arguments, const CUtensorMap& map_a,
                                           const CUtensorMap& map_b) {
  const int rank = static_cast<int>(rank_in_cluster());
  TileCursor cursor(arguments.schedule, static_cast<int>(blockIdx.x) / kCluster);
  Ring<C::kStages> ring;
  for (Tile tile; take<C>(cursor, arguments.schedule, tile);) {
    const Origin from = origin<C>(arguments, tile);
    for (int step = 0; step < from.steps; ++step, ring.advance()) {
      const std::uint32_t full = shared_address(&shared.full[ring.stage]);
      barrier_wait(shared_address(&shared.empty[ring.stage]), ring.parity ^ 1);
      barrier_expect(full, C::kStageBytes);
      const int k = step * C::kStepK;
      copy_box(shared_address(shared.a[ring.stage]) + rank * kBoxBytes, &map_a, full,
               box_at(C::kMajorA, from.a + rank * 64, from.k_of_a + k), (1 << kCluster) - 1);
#pragma unroll
      for (int box = 0; box < C::kBoxesB; ++box) {
        copy_box(shared_address(shared.b[ring.stage]) + box * kBoxBytes, &map_b, full,
                 box_at(C::kMajorB, from.b + box * 64, from.k_of_b + k));
      }
      if constexpr (C::kFp8) copy_scales<C>(shared, arguments, tile, from, step, ring.stage, full);
    }
  }
}

// --- the multiplying warpgroups ------------------------------------------------------------------------------------
// One arrival per warp and block of the cluster: the stage's halves of A came from both.
__device__ __forceinline__ void release(std::uint64_t& empty) {
  __syncwarp();
  const std::uint32_t lane = threadIdx.x % 32;
  if (lane < kCluster) barrier_arrive(shared_address(&empty), lane);
}

// Adds the scaled partial sums. Rows r and r + 8 of this thread; columns in pairs.
template <bool kBlockScalesOfB>
__device__ __forceinline__ void promote(float (&sum)[64], const float (&part)[64], float upper, float lower,
                                        const float* scale_b) {
#pragma unroll
  for (int j = 0; j < 16; ++j) {
    float2 b{1, 1};
    if constexpr (kBlockScalesOfB) b = *reinterpret_cast<const float2*>(scale_b + 8 * j);
    sum[4 * j] = fmaf(upper * b.x, part[4 * j], sum[4 * j]);
    sum[4 * j + 1] = fmaf(upper * b.y, part[4 * j + 1], sum[4 * j + 1]);
    sum[4 * j + 2] = fmaf(lower * b.x, part[4 * j + 2], sum[4 * j + 2]);
    sum[4 * j + 3] = fmaf(lower * b.y, part[4 * j + 3], sum[4 * j + 3]);
  }
}

template <class C>
__device__ __forceinline__ void multiply_tile(float (&sum)[64], Shared<C>& shared, Ring<C::kStages>& ring, int steps) {
  const int warpgroup = threadIdx.x / 128, row = threadIdx.x / 32 * 16 + threadIdx.x % 32 / 4,
            column = threadIdx.x % 4 * 2;
  constexpr int kInstructions = C::kPromote / 32;  // per partial sum
  for (int step = 0; step < steps; ++step, ring.advance()) {
    const std::uint32_t a = shared_address(shared.a[ring.stage]) + warpgroup * kBoxBytes,
                        b = shared_address(shared.b[ring.stage]);
    barrier_wait(shared_address(&shared.full[ring.stage]), ring.parity);
#pragma unroll
    for (int i = 0; i < C::kPromotions; ++i) {
      const float upper = shared.scale_a[ring.stage][i][row], lower = shared.scale_a[ring.stage][i][row + 8];
      float part[64];
      pinned(part);
      wgmma_fence();
#pragma unroll
      for (int q = 0; q < kInstructions; ++q) {
        const std::uint32_t at = (i * kInstructions + q) * k_step_bytes(Major::k);
        multiply_fp8(part, matrix_descriptor(a + at, Major::k), matrix_descriptor(b + at, Major::k), q > 0);
      }
      wgmma_commit();
      wgmma_wait<0>();
      pinned(part);
      promote<C::kBlockScalesOfB>(
          sum, part, upper, lower,
          &shared.scale_b[ring.stage][C::kBlockScalesOfB ? i : 0][C::kBlockScalesOfB ? column : 0]);
    }
    release(shared.empty[ring.stage]);
  }
}

template <class C>
__device__ __forceinline__ void multiply_tile(float (&sum)[128], Shared<C>& shared, Ring<C::kStages>& ring, int steps) {
  const int warpgroup = threadIdx.x / 128;
  int before = -1;  // stage whose products may still be under way
  for (int step = 0; step < steps; ++step, ring.advance()) {
    const std::uint32_t a = shared_address(shared.a[ring.stage]) + warpgroup * kBoxBytes,
                        b = shared_address(shared.b[ring.stage]);
    barrier_wait(shared_address(&shared.full[ring.stage]), ring.parity);
    pinned(sum);
    wgmma_fence();
#pragma unroll
    for (int q = 0; q < C::kStepK / 16; ++q) {
      multiply_bf16<C::kMajorA, C::kMajorB>(sum, matrix_descriptor(a + q * k_step_bytes(C::kMajorA), C::kMajorA),
                                            matrix_descriptor(b + q * k_step_bytes(C::kMajorB), C::kMajorB));
    }
    wgmma_commit();
    wgmma_wait<1>();
    if (before >= 0) release(shared.empty[before]);
    before = ring.stage;
  }
  wgmma_wait<0>();
  pinned(sum);
  if (before >= 0) release(shared.empty[before]);
}

template <class C, int kCount>
__device__ __forceinline__ void store_tile(float (&sum)[kCount], const Arguments& arguments, const Tile& tile) {
  const int row = threadIdx.x / 32 * 16 + threadIdx.x % 32 / 4;
  const std::size_t first =
      C::kSumSegments ? static_cast<std::size_t>(tile.expert) * arguments.lines_a + tile.m : tile.row + tile.m;
  auto* d = static_cast<typename C::Output*>(arguments.d) + (first + row) * arguments.n + tile.n;
#pragma unroll
  for (int j = 0; j < C::kTileN / 8; j += 4) {
    if (tile.n + 8 * j >= arguments.n) break;  // columns are multiples of 128
    if constexpr (C::kFp8 && !C::kBlockScalesOfB) {
      const float* scales =
          arguments.scale_b + static_cast<std::size_t>(tile.expert) * arguments.n + tile.n + threadIdx.x % 4 * 2;
#pragma unroll
      for (int block = j; block < j + 4; ++block) {
        const float2 b = __ldg(reinterpret_cast<const float2*>(scales + 8 * block));
        sum[4 * block] *= b.x, sum[4 * block + 1] *= b.y, sum[4 * block + 2] *= b.x, sum[4 * block + 3] *= b.y;
      }
    }
    store_blocks(sum, 4 * j, d + 8 * j);
    store_blocks(sum, 4 * j + 2, d + 8 * j + static_cast<std::size_t>(8) * arguments.n);
  }
}

template <class C>
__device__ __forceinline__ void multiply_tiles(Shared<C>& shared, const Arguments& arguments) {
  TileCursor cursor(arguments.schedule, static_cast<int>(blockIdx.x) / kCluster);
  Ring<C::kStages> ring;
  for (Tile tile; take<C>(cursor, arguments.schedule, tile);) {
    float sum[C::kTileN / 2] = {};
    multiply_tile<C>(sum, shared, ring, origin<C>(arguments, tile).steps);
    store_tile<C>(sum, arguments, tile);
  }
}

template <class C>
__global__ void __cluster_dims__(kCluster, 1, 1) __launch_bounds__(kThreads, 1)
    grouped_gemm_kernel(const Arguments arguments, const __grid_constant__ CUtensorMap map_a,
                        const __grid_constant__ CUtensorMap map_b) {
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
  auto& shared = aligned_shared<Shared<C>>();
  if (threadIdx.x == 0) {
    prefetch_map(&map_a), prefetch_map(&map_b);
    for (int stage = 0; stage < C::kStages; ++stage) {
      barrier_init(shared_address(&shared.full[stage]), 1);
      barrier_init(shared_address(&shared.empty[stage]), kMathWarps * kCluster);
    }
    barriers_are_initialised();
  }
  cluster_meets();
  if (threadIdx.x / 128 == kMathWarpgroups) {
    give_up_registers<40>();
    if (threadIdx.x % 128 == 0) copy_tiles<C>(shared, arguments, map_a, map_b);
  } else {
    take_registers<232>();
    multiply_tiles<C>(shared, arguments);
  }
  __syncwarp();
  cluster_meets();  // nobody leaves while the other may still send to it
#endif
}

// --- launching -----------------------------------------------------------------------------------------------------
template <class C>
cudaError_t launch(const GroupedGemm& gemm, cudaStream_t stream) {
  const int clusters = multiprocessors() / kCluster;
  const TileShape shape{kTileM, C::kTileN * kCluster};
  Arguments arguments{};
  arguments.schedule = {gemm.offsets,
                        gemm.experts,
                        C::kSumSegments ? gemm.m / kTileM : 0,
                        (gemm.n + shape.n - 1) / shape.n,
                        shape,
                        square_band(clusters, shape)};
  arguments.scale_a = static_cast<const float*>(gemm.scale_a),
  arguments.scale_b = static_cast<const float*>(gemm.scale_b);
  arguments.d = gemm.d, arguments.lines_a = C::kSumSegments ? gemm.m : gemm.rows, arguments.n = gemm.n,
  arguments.k = gemm.k;

  const auto rows = static_cast<std::uint64_t>(gemm.rows), m = static_cast<std::uint64_t>(gemm.m),
             n = static_cast<std::uint64_t>(gemm.n);
  const auto k = static_cast<std::uint64_t>(gemm.k), experts = static_cast<std::uint64_t>(gemm.experts);
  const std::uint64_t k_of_a = C::kSumSegments ? rows : k, lines_of_a = C::kSumSegments ? m : rows;
  const std::uint64_t per_expert = C::kSumSegments ? 1 : experts, k_of_b = C::kSumSegments ? rows : k;
  const Element element = C::kFp8 ? Element::fp8 : Element::bf16;
  CUtensorMap map_a, map_b;
  const cudaError_t a = C::kMajorA == Major::k ? box_map(map_a, element, gemm.a, k_of_a, lines_of_a)
                                               : box_map(map_a, element, gemm.a, lines_of_a, k_of_a);
  const cudaError_t b = C::kMajorB == Major::k ? box_map(map_b, element, gemm.b, k_of_b, per_expert * n)
                                               : box_map(map_b, element, gemm.b, n, per_expert * k_of_b);
  if (a != cudaSuccess || b != cudaSuccess) return a != cudaSuccess ? a : b;
  return launch_with<Shared<C>, kSharedMemory>(grouped_gemm_kernel<C>, clusters * kCluster, kThreads, stream, arguments,
                                               map_a, map_b);
}

}  // namespace moeline::kernels::sm90
