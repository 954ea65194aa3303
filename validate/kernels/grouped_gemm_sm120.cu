// Grouped products on sm_120a, Blackwell without tensor memory: block-scaled MXFP8, all three products.
//
//   block = 8 multiplying warps, 64 x 32 each of a tile of 128 x 128, and one that copies
//
//   warp 8      wait empty -> tensor copies of A and B -> full               a ring of 3 stages, 128 bytes of k each
//   warps 0-7   wait full -> ldmatrix, mma with the scales of the step -> empty
//               last stage -> registers to memory, while the copier fills the ring for the next tile
// Scales do not pass through shared memory, where three stages leave no room for them: every lane reads the words that
// the products of its warp take from it out of the tiles in global memory, a step ahead.
#include "validate/kernels/grouped_gemm.hpp"
#include "validate/kernels/launch.cuh"
#include "validate/kernels/ptx_sm120.cuh"
#include "validate/kernels/quad.cuh"
#include "validate/kernels/scale_layout.hpp"
#include "validate/kernels/tensor_map.hpp"
#include "validate/kernels/tile_schedule.hpp"

namespace moeline::kernels::sm120 {
namespace {

constexpr int kMathWarps = 8, kThreads = (kMathWarps + 1) * 32;
constexpr int kWarpsN = 4, kWarpM = 64, kWarpN = 32;
constexpr int kTileM = kMathWarps / kWarpsN * kWarpM, kTileN = kWarpsN * kWarpN, kStepK = 128;
constexpr int kBlocksM = kWarpM / 16, kBlocksN = kWarpN / 8;  // products of a warp
constexpr int kStages = 3;
constexpr int kSharedMemory = 99 * 1024;  // of a block on sm_120

struct alignas(1024) Shared {
  std::uint8_t a[kStages][kTileM / kBoxRows * kBoxBytes];
  std::uint8_t b[kStages][kTileN / kBoxRows * kBoxBytes];
  std::uint64_t full[kStages], empty[kStages];
};

struct Arguments {
  TileSchedule schedule;
  const std::uint32_t* scale_a;  // words of four, in tiles
  const std::uint32_t* scale_b;
  void* d;
  int m, n, k;  // m: rows of D_e when segments are summed; k: of a line of the operands
};

// Where the tile's operands start, line and k; `steps` stages.
struct Origin {
  int a, b, k, steps;
};
template <bool kSumSegments>
__device__ __forceinline__ Origin origin(const Arguments& arguments, const Tile& tile) {
  if constexpr (kSumSegments) return {tile.m, tile.n, tile.row, tile.rows / kStepK};
  return {tile.row + tile.m, tile.expert * arguments.n + tile.n, 0, arguments.k / kStepK};
}

template <bool kSumSegments>
__device__ __forceinline__ void copy_tiles(Shared& shared, const Arguments& arguments, const CUtensorMap& map_a,
                                           const CUtensorMap& map_b) {
  TileCursor cursor(arguments.schedule, static_cast<int>(blockIdx.x));
  Ring<kStages> ring;
  for (Tile tile; cursor.take(arguments.schedule, static_cast<int>(gridDim.x), tile);) {
    const Origin from = origin<kSumSegments>(arguments, tile);
    for (int step = 0; step < from.steps; ++step, ring.advance()) {
      const std::uint32_t full = shared_address(&shared.full[ring.stage]), a = shared_address(shared.a[ring.stage]),
                          b = shared_address(shared.b[ring.stage]);
      const int k = from.k + step * kStepK;
      barrier_wait(shared_address(&shared.empty[ring.stage]), ring.parity ^ 1);
      barrier_expect(full, sizeof shared.a[0] + sizeof shared.b[0]);
#pragma unroll
      for (int box = 0; box < kTileM / static_cast<int>(kBoxRows); ++box) {
        copy_box(a + box * kBoxBytes, &map_a, full, {k, from.a + box * static_cast<int>(kBoxRows)});
        copy_box(b + box * kBoxBytes, &map_b, full, {k, from.b + box * static_cast<int>(kBoxRows)});
      }
    }
  }
}

// This lane's scales of one step: of its row in every 16 of A, of its column in every 8 of B.
struct Scales {
  std::uint32_t a[kBlocksM], b[kBlocksN];
};
__device__ __forceinline__ Scales scales_of(const Arguments& arguments, const Origin& from, int step) {
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const auto tile = [&](const std::uint32_t* scales, int line) {
    const std::size_t tiles_along_k = arguments.k / kTile;
    return scales + (line / kTile * tiles_along_k + from.k / kTile + step) * (kTileBytes / 4);
  };
  const std::uint32_t *tile_a = tile(arguments.scale_a, from.a), *tile_b = tile(arguments.scale_b, from.b);
  Scales scales;
#pragma unroll
  for (int i = 0; i < kBlocksM; ++i)
    scales.a[i] =
        __ldg(tile_a + scale_word(warp / kWarpsN * kWarpM + i * 16 + static_cast<int>(scaled_row_of_a(lane))));
#pragma unroll
  for (int j = 0; j < kBlocksN; ++j)
    scales.b[j] =
        __ldg(tile_b + scale_word(warp % kWarpsN * kWarpN + j * 8 + static_cast<int>(scaled_column_of_b(lane))));
  return scales;
}

// 32 of k: byte kByte of every scale word.
template <int kByte>
__device__ __forceinline__ void multiply_block(float (&sum)[kBlocksM][4 * kBlocksN], std::uint32_t tile_a,
                                               std::uint32_t tile_b, const Scales& scales) {
  const std::uint32_t lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const Place in_a = place_in_a(lane), in_b = place_in_b(lane);
  const std::uint32_t row_a = warp / kWarpsN * kWarpM + in_a.row, row_b = warp % kWarpsN * kWarpN + in_b.row;
  std::uint32_t b[kBlocksN / 2][4];  // two columns of eight each
#pragma unroll
  for (int j = 0; j < kBlocksN / 2; ++j)
    load_matrices(b[j], tile_b + swizzled(row_b + j * 16, (2 * kByte + in_b.chunk) * 16));
#pragma unroll
  for (int i = 0; i < kBlocksM; ++i) {
    std::uint32_t a[4];
    load_matrices(a, tile_a + swizzled(row_a + i * 16, (2 * kByte + in_a.chunk) * 16));
#pragma unroll
    for (int j = 0; j < kBlocksN; ++j) {
      multiply_mxfp8<kByte>(sum[i] + 4 * j, a, b[j / 2][j % 2 * 2], b[j / 2][j % 2 * 2 + 1], scales.a[i], scales.b[j]);
    }
  }
}

__device__ __forceinline__ void multiply_tile(float (&sum)[kBlocksM][4 * kBlocksN], Shared& shared, Ring<kStages>& ring,
                                              const Arguments& arguments, const Origin& from) {
  Scales scales{};
  if (from.steps > 0) scales = scales_of(arguments, from, 0);
  for (int step = 0; step < from.steps; ++step, ring.advance()) {
    const std::uint32_t a = shared_address(shared.a[ring.stage]), b = shared_address(shared.b[ring.stage]);
    const Scales next = scales_of(arguments, from, min(step + 1, from.steps - 1));
    barrier_wait(shared_address(&shared.full[ring.stage]), ring.parity);
    multiply_block<0>(sum, a, b, scales);
    multiply_block<1>(sum, a, b, scales);
    multiply_block<2>(sum, a, b, scales);
    multiply_block<3>(sum, a, b, scales);
    __syncwarp();
    if (threadIdx.x % 32 == 0) barrier_arrive(shared_address(&shared.empty[ring.stage]), 0);
    scales = next;
  }
}

// Tiles are whole: segments, m and n come in multiples of 128.
template <bool kSumSegments>
__device__ __forceinline__ void multiply_tiles(Shared& shared, const Arguments& arguments) {
  using Output = std::conditional_t<kSumSegments, float, __nv_bfloat16>;
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  TileCursor cursor(arguments.schedule, static_cast<int>(blockIdx.x));
  Ring<kStages> ring;
  for (Tile tile; cursor.take(arguments.schedule, static_cast<int>(gridDim.x), tile);) {
    float sum[kBlocksM][4 * kBlocksN] = {};
    multiply_tile(sum, shared, ring, arguments, origin<kSumSegments>(arguments, tile));
    const std::size_t first = kSumSegments ? static_cast<std::size_t>(tile.expert) * arguments.m : tile.row;
    const std::size_t row = first + tile.m + warp / kWarpsN * kWarpM + lane / 4;
    Output* d = static_cast<Output*>(arguments.d) + row * arguments.n + tile.n + warp % kWarpsN * kWarpN;
#pragma unroll
    for (int i = 0; i < kBlocksM; ++i) {
      store_blocks(sum[i], 0, d + static_cast<std::size_t>(16 * i) * arguments.n);
      store_blocks(sum[i], 2, d + static_cast<std::size_t>(16 * i + 8) * arguments.n);
    }
  }
}

template <bool kSumSegments>
__global__ void __launch_bounds__(kThreads, 1)
    grouped_gemm_kernel(const Arguments arguments, const __grid_constant__ CUtensorMap map_a,
                        const __grid_constant__ CUtensorMap map_b) {
#ifdef __CUDA_ARCH_FEAT_SM120_ALL
  auto& shared = aligned_shared<Shared>();
  if (threadIdx.x == 0) {
    prefetch_map(&map_a), prefetch_map(&map_b);
    for (int stage = 0; stage < kStages; ++stage) {
      barrier_init(shared_address(&shared.full[stage]), 1);
      barrier_init(shared_address(&shared.empty[stage]), kMathWarps);
    }
    barriers_are_initialised();
  }
  __syncthreads();
  if (threadIdx.x / 32 < kMathWarps) {
    multiply_tiles<kSumSegments>(shared, arguments);
  } else if (threadIdx.x % 32 == 0) {
    copy_tiles<kSumSegments>(shared, arguments, map_a, map_b);
  }
#endif
}

template <bool kSumSegments>
cudaError_t launch(const GroupedGemm& gemm, cudaStream_t stream) {
  const int blocks = multiprocessors(), k = kSumSegments ? gemm.rows : gemm.k;
  const TileShape shape{kTileM, kTileN};
  const Arguments arguments{{gemm.offsets, gemm.experts, kSumSegments ? gemm.m / kTileM : 0, gemm.n / kTileN, shape,
                             square_band(blocks, shape)},
                            static_cast<const std::uint32_t*>(gemm.scale_a),
                            static_cast<const std::uint32_t*>(gemm.scale_b),
                            gemm.d,
                            gemm.m,
                            gemm.n,
                            k};
  const auto lines_a = static_cast<std::uint64_t>(kSumSegments ? gemm.m : gemm.rows),
             lines_b = static_cast<std::uint64_t>(gemm.n) * static_cast<std::uint64_t>(kSumSegments ? 1 : gemm.experts);
  CUtensorMap map_a, map_b;
  if (const cudaError_t error = box_map(map_a, Element::fp8, gemm.a, static_cast<std::uint64_t>(k), lines_a))
    return error;
  if (const cudaError_t error = box_map(map_b, Element::fp8, gemm.b, static_cast<std::uint64_t>(k), lines_b))
    return error;
  return launch_with<Shared, kSharedMemory>(grouped_gemm_kernel<kSumSegments>, blocks, kThreads, stream, arguments,
                                            map_a, map_b);
}

}  // namespace
}  // namespace moeline::kernels::sm120

namespace moeline::kernels {

cudaError_t grouped_gemm_sm120(const GroupedGemm& gemm, cudaStream_t stream) {
  return gemm.product == Product::wgrad ? sm120::launch<true>(gemm, stream) : sm120::launch<false>(gemm, stream);
}

}  // namespace moeline::kernels
