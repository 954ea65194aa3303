// Grouped products on sm_100a and sm_103a: block-scaled MXFP8 and bf16, all three products.
//
//   cluster of 2 blocks = one tile of 256 x 256: each holds its 128 rows of A and half of the columns of B, and the
//   tensor cores of both read both halves; scales go through shared into tensor memory and cost no instruction
//
//   warp 4 of both     copies: A, B, tiles of scales -> full, of the leader      a ring of stages, 128 bytes of k each
//   warp 5, leader     scales to tensor memory, products, commit -> empty of both; at the end of a tile -> summed
//   warps 0-3 of both  accumulators -> registers (rounded to bf16: all 256 columns fit) -> drained -> memory
// One accumulator of 256 columns: a second does not fit beside the scales. It is free again after the registers are
// filled, before they are stored, so the tensor cores wait for 256 columns of reads per tile and no longer.
#include <cuda_bf16.h>

#include "validate/kernels/grouped_gemm.hpp"
#include "validate/kernels/launch.cuh"
#include "validate/kernels/ptx_sm100.cuh"
#include "validate/kernels/scale_layout.hpp"
#include "validate/kernels/tensor_map.hpp"
#include "validate/kernels/tile_schedule.hpp"

#if defined(__CUDA_ARCH_FEAT_SM100_ALL) || defined(__CUDA_ARCH_FEAT_SM103_ALL)
#define MOELINE_HAS_TCGEN05
#endif

namespace moeline::kernels::sm100 {
namespace {

constexpr int kPair = 2;
constexpr int kBlockM = 128, kTileM = kPair * kBlockM, kTileN = 256, kBlockN = kTileN / kPair;
constexpr int kEpilogueWarps = 4, kCopyWarp = 4, kMathWarp = 5, kThreads = 6 * 32;
constexpr int kSharedMemory = 227 * 1024;

template <bool kOfMxfp8, Major kOfA, Major kOfB, bool kSegmentsAreSummed>
struct Config {
  static constexpr bool kMxfp8 = kOfMxfp8, kSumSegments = kSegmentsAreSummed;
  static constexpr Major kMajorA = kOfA, kMajorB = kOfB;
  using Output = std::conditional_t<kSegmentsAreSummed, float, __nv_bfloat16>;
  static constexpr int kStepK = kMxfp8 ? 128 : 64;  // 128 bytes
  static constexpr int kInstructions = 4;           // of 32 bytes of k each
  static constexpr int kBoxesA = kBlockM / 64, kBoxesB = kBlockN / 64;
  static constexpr int kScaleTilesB = kTileN / kTile;  // every block needs those of all columns
  static constexpr int kStageBytes =
      (kBoxesA + kBoxesB) * static_cast<int>(kBoxBytes) + (kMxfp8 ? (1 + kScaleTilesB) * kTileBytes : 0);
  static constexpr int kStages = (kSharedMemory - 2048) / kStageBytes;
};

template <class C>
struct alignas(1024) Shared {
  std::uint8_t a[C::kStages][C::kBoxesA * kBoxBytes];
  std::uint8_t b[C::kStages][C::kBoxesB * kBoxBytes];
  std::uint8_t scale_a[C::kMxfp8 ? C::kStages : 1][C::kMxfp8 ? kTileBytes : 16];
  std::uint8_t scale_b[C::kMxfp8 ? C::kStages : 1][C::kMxfp8 ? C::kScaleTilesB * kTileBytes : 16];
  std::uint64_t full[C::kStages], empty[C::kStages];
  std::uint64_t summed, drained;  // the accumulator: ready to read, free to write
  std::uint32_t tensor_memory;
};

struct Maps {
  CUtensorMap a, b, scale_a, scale_b;
};

struct Arguments {
  TileSchedule schedule;
  void* d;
  int m, n, k;  // m: rows of D_e when segments are summed
};

// Columns of tensor memory: the accumulator, then scales, in two places that take turns.
struct TensorColumns {
  std::uint32_t base;
  __device__ std::uint32_t sum() const { return base; }
  __device__ std::uint32_t scale_a(int step) const { return base + kTileN + step % 2 * 16; }
  __device__ std::uint32_t scale_b(int step) const { return scale_a(step) + 4; }
};

template <class C>
__device__ __forceinline__ int steps_of(const Arguments& arguments, const Tile& tile) {
  return (C::kSumSegments ? tile.rows : arguments.k) / C::kStepK;
}

__device__ __forceinline__ Coordinates box_at(Major major, int line, int k) {
  return major == Major::k ? Coordinates{k, line} : Coordinates{line, k};
}

__device__ __forceinline__ int pair_index() { return static_cast<int>(blockIdx.x) / kPair; }
__device__ __forceinline__ int pairs() { return static_cast<int>(gridDim.x) / kPair; }

#ifdef MOELINE_HAS_TCGEN05
template <class C>
__device__ __forceinline__ void copy_tiles(Shared<C>& shared, const Arguments& arguments, const Maps& maps) {
  const int rank = static_cast<int>(rank_in_cluster());
  TileCursor cursor(arguments.schedule, pair_index());
  Ring<C::kStages> ring;
  for (Tile tile; cursor.take(arguments.schedule, pairs(), tile);) {
    const bool expert_in_k = C::kMajorB == Major::mn;  // where W_e stands as [k][n]
    const int lines_b = (C::kSumSegments || expert_in_k ? 0 : tile.expert * arguments.n) + tile.n;
    const int line_a = (C::kSumSegments ? 0 : tile.row) + tile.m + rank * kBlockM, line_b = lines_b + rank * kBlockN;
    const int k_of_a = C::kSumSegments ? tile.row : 0;
    const int k_of_b = C::kSumSegments ? tile.row : expert_in_k ? tile.expert * arguments.k : 0;
    for (int step = 0; step < steps_of<C>(arguments, tile); ++step, ring.advance()) {
      const std::uint32_t full = shared_address(&shared.full[ring.stage]);
      barrier_wait(shared_address(&shared.empty[ring.stage]), ring.parity ^ 1);
      if (rank == 0) barrier_expect(full, kPair * C::kStageBytes);
      const int k = step * C::kStepK;
#pragma unroll
      for (int box = 0; box < C::kBoxesA; ++box) {
        copy_box_for_pair(shared_address(shared.a[ring.stage]) + box * kBoxBytes, &maps.a, full,
                          box_at(C::kMajorA, line_a + box * 64, k_of_a + k));
      }
#pragma unroll
      for (int box = 0; box < C::kBoxesB; ++box) {
        copy_box_for_pair(shared_address(shared.b[ring.stage]) + box * kBoxBytes, &maps.b, full,
                          box_at(C::kMajorB, line_b + box * 64, k_of_b + k));
      }
      if constexpr (C::kMxfp8) {
        const int word = k_of_a + k;  // 128 of k are one tile of 128 words
        copy_box_for_pair(shared_address(shared.scale_a[ring.stage]), &maps.scale_a, full, {word, line_a / kTile});
#pragma unroll
        for (int i = 0; i < C::kScaleTilesB; ++i) {
          copy_box_for_pair(shared_address(shared.scale_b[ring.stage]) + i * kTileBytes, &maps.scale_b, full,
                            {word, lines_b / kTile + i});
        }
      }
    }
  }
}

// The products of one stage.
template <class C>
__device__ __forceinline__ void multiply_stage(Shared<C>& shared, const TensorColumns& columns, int stage, int step) {
  const std::uint32_t a = shared_address(shared.a[stage]), b = shared_address(shared.b[stage]);
  if constexpr (C::kMxfp8) {
    copy_scales(columns.scale_a(step), scale_descriptor(shared_address(shared.scale_a[stage])));
#pragma unroll
    for (int i = 0; i < C::kScaleTilesB; ++i) {
      copy_scales(columns.scale_b(step) + 4 * i,
                  scale_descriptor(shared_address(shared.scale_b[stage]) + i * kTileBytes));
    }
  }
#pragma unroll
  for (int q = 0; q < C::kInstructions; ++q) {
    const std::uint64_t of_a = matrix_descriptor(a + q * k_step_bytes(C::kMajorA), C::kMajorA);
    const std::uint64_t of_b = matrix_descriptor(b + q * k_step_bytes(C::kMajorB), C::kMajorB);
    const std::uint32_t keep = step > 0 || q > 0;
    if constexpr (C::kMxfp8) {
      multiply_mxfp8(columns.sum(), of_a, of_b, block_scaled_instruction(kTileM, kTileN, q), columns.scale_a(step),
                     columns.scale_b(step), keep);
    } else {
      multiply_bf16(columns.sum(), of_a, of_b, bf16_instruction(kTileM, kTileN, C::kMajorA, C::kMajorB), keep);
    }
  }
}

template <class C>
__device__ __forceinline__ void multiply_tiles(Shared<C>& shared, const Arguments& arguments,
                                               const TensorColumns& columns) {
  TileCursor cursor(arguments.schedule, pair_index());
  Ring<C::kStages> ring;
  Ring<1> accumulator;
  for (Tile tile; cursor.take(arguments.schedule, pairs(), tile);) {
    const int steps = steps_of<C>(arguments, tile);
    if (steps == 0) continue;
    barrier_wait(shared_address(&shared.drained), accumulator.parity ^ 1);
    after_barrier();
    for (int step = 0; step < steps; ++step, ring.advance()) {
      barrier_wait(shared_address(&shared.full[ring.stage]), ring.parity);
      after_barrier();
      multiply_stage<C>(shared, columns, ring.stage, step);
      commit(shared_address(&shared.empty[ring.stage]));
    }
    commit(shared_address(&shared.summed));
    accumulator.advance();
  }
}

// 32 columns of one row: 64 bytes of bf16, 128 of float, and how many words that is.
__device__ __forceinline__ void rounded(std::uint32_t* words, const std::uint32_t (&sums)[32], __nv_bfloat16*) {
#pragma unroll
  for (int i = 0; i < 16; ++i) {
    const __nv_bfloat162 pair = __floats2bfloat162_rn(__uint_as_float(sums[2 * i]), __uint_as_float(sums[2 * i + 1]));
    words[i] = reinterpret_cast<const std::uint32_t&>(pair);
  }
}
__device__ __forceinline__ void rounded(std::uint32_t* words, const std::uint32_t (&sums)[32], float*) {
#pragma unroll
  for (int i = 0; i < 32; ++i) words[i] = sums[i];
}

// Rows beyond the segment belong to the next expert, columns beyond n to nobody; both come in multiples of 128.
template <class C>
__device__ __forceinline__ void store_tiles(Shared<C>& shared, const Arguments& arguments,
                                            const TensorColumns& columns) {
  using Output = typename C::Output;
  constexpr int kWords = 32 * sizeof(Output) / 4;  // of 32 columns
  constexpr int kHeld = 128 / kWords * 32;         // columns that 128 registers hold
  const std::uint32_t lane = columns.sum() + (threadIdx.x / 32 * 32 << 16);
  const std::uint32_t drained = shared_address(&shared.drained);
  TileCursor cursor(arguments.schedule, pair_index());
  Ring<1> accumulator;
  for (Tile tile; cursor.take(arguments.schedule, pairs(), tile);) {
    const int row = tile.m + static_cast<int>(rank_in_cluster()) * kBlockM + static_cast<int>(threadIdx.x);
    const bool inside = row < (C::kSumSegments ? arguments.m : tile.rows);
    const std::size_t line = (C::kSumSegments ? static_cast<std::size_t>(tile.expert) * arguments.m : tile.row) + row;
    Output* d = static_cast<Output*>(arguments.d) + line * arguments.n + tile.n;
    const bool empty = steps_of<C>(arguments, tile) == 0;
    if (!empty) {
      barrier_wait(shared_address(&shared.summed), accumulator.parity);
      after_barrier();
    }
    std::uint32_t words[kTileN / 32 * kWords < 128 ? kTileN / 32 * kWords : 128];
#pragma unroll
    for (int column = 0; column < kTileN; column += 32) {
      const bool held = column >= kTileN - kHeld;
      std::uint32_t* mine = words + (held ? (column - (kTileN - kHeld)) / 32 * kWords : 0);
      std::uint32_t sums[32] = {};
      if (!empty) load_columns(sums, lane + column);
      rounded(mine, sums, static_cast<Output*>(nullptr));
      if (!held && inside && tile.n + column < arguments.n) {
#pragma unroll
        for (int i = 0; i < kWords; i += 8) store_sector(d + column + i * 4 / sizeof(Output), mine + i);
      }
    }
    if (!empty) {
      before_barrier();
      __syncwarp();
      if (threadIdx.x % 32 == 0) barrier_arrive(drained, 0);
      accumulator.advance();
    }
#pragma unroll
    for (int column = kTileN - kHeld; column < kTileN; column += 32) {
      if (!inside || tile.n + column >= arguments.n) break;
#pragma unroll
      for (int i = 0; i < kWords; i += 8) {
        store_sector(d + column + i * 4 / sizeof(Output), words + (column - (kTileN - kHeld)) / 32 * kWords + i);
      }
    }
  }
}
#endif

template <class C>
__global__ void __cluster_dims__(kPair, 1, 1) __launch_bounds__(kThreads, 1)
    grouped_gemm_kernel(const Arguments arguments, const __grid_constant__ Maps maps) {
#ifdef MOELINE_HAS_TCGEN05
  auto& shared = aligned_shared<Shared<C>>();
  const int warp = static_cast<int>(threadIdx.x) / 32;
  if (warp == 0) allocate_tensor_memory(shared_address(&shared.tensor_memory));
  if (warp == kCopyWarp && threadIdx.x % 32 == 0) {
    for (int stage = 0; stage < C::kStages; ++stage) {
      barrier_init(shared_address(&shared.full[stage]), 1);
      barrier_init(shared_address(&shared.empty[stage]), 1);
    }
    barrier_init(shared_address(&shared.summed), 1);
    barrier_init(shared_address(&shared.drained), kPair * kEpilogueWarps);
    barriers_are_initialised();
  }
  before_barrier();
  __syncthreads();
  cluster_meets();
  after_barrier();
  const TensorColumns columns{shared.tensor_memory};
  const bool first_lane = threadIdx.x % 32 == 0;
  if (warp == kCopyWarp) {
    if (first_lane) copy_tiles<C>(shared, arguments, maps);
  } else if (warp == kMathWarp) {
    if (first_lane && rank_in_cluster() == 0) multiply_tiles<C>(shared, arguments, columns);
  } else {
    store_tiles<C>(shared, arguments, columns);
  }
  __syncwarp();
  before_barrier();
  cluster_meets();  // nobody frees or leaves what the other still uses
  if (warp == 0) free_tensor_memory(columns.base);
#endif
}

template <class C>
cudaError_t make_maps(Maps& maps, const GroupedGemm& gemm) {
  const auto rows = static_cast<std::uint64_t>(gemm.rows), m = static_cast<std::uint64_t>(gemm.m),
             n = static_cast<std::uint64_t>(gemm.n);
  const std::uint64_t k = C::kSumSegments ? rows : static_cast<std::uint64_t>(gemm.k),
                      lines_a = C::kSumSegments ? m : rows;
  const std::uint64_t experts = C::kSumSegments ? 1 : static_cast<std::uint64_t>(gemm.experts);
  const Element element = C::kMxfp8 ? Element::fp8 : Element::bf16;
  const cudaError_t errors[] = {
      C::kMajorA == Major::k ? box_map(maps.a, element, gemm.a, k, lines_a)
                             : box_map(maps.a, element, gemm.a, lines_a, k),
      C::kMajorB == Major::k ? box_map(maps.b, element, gemm.b, k, experts * n)
                             : box_map(maps.b, element, gemm.b, n, experts * k),
      C::kMxfp8 ? box_map(maps.scale_a, Element::scale_word, gemm.scale_a, k, lines_a / kTile) : cudaSuccess,
      C::kMxfp8 ? box_map(maps.scale_b, Element::scale_word, gemm.scale_b, k, experts * n / kTile) : cudaSuccess};
  for (const cudaError_t error : errors) {
    if (error != cudaSuccess) return error;
  }
  return cudaSuccess;
}

template <class C>
cudaError_t launch(const GroupedGemm& gemm, cudaStream_t stream) {
  const int pairs = multiprocessors() / kPair;
  const TileShape shape{kTileM, kTileN};
  const Arguments arguments{{gemm.offsets, gemm.experts, C::kSumSegments ? (gemm.m + kTileM - 1) / kTileM : 0,
                             (gemm.n + kTileN - 1) / kTileN, shape, square_band(pairs, shape)},
                            gemm.d,
                            gemm.m,
                            gemm.n,
                            gemm.k};
  Maps maps;
  if (const cudaError_t error = make_maps<C>(maps, gemm)) return error;
  return launch_with<Shared<C>, kSharedMemory>(grouped_gemm_kernel<C>, pairs * kPair, kThreads, stream, arguments, maps);
}

}  // namespace
}  // namespace moeline::kernels::sm100

namespace moeline::kernels {

cudaError_t grouped_gemm_sm100(const GroupedGemm& gemm, cudaStream_t stream) {
  using namespace sm100;
  const bool mxfp8 = gemm.operands == Operands::mxfp8;
  switch (gemm.product) {
    case Product::fprop:
      return mxfp8 ? launch<Config<true, Major::k, Major::k, false>>(gemm, stream)
                   : launch<Config<false, Major::k, Major::k, false>>(gemm, stream);
    case Product::dgrad:
      return mxfp8 ? launch<Config<true, Major::k, Major::k, false>>(gemm, stream)
                   : launch<Config<false, Major::k, Major::mn, false>>(gemm, stream);
    case Product::wgrad:
      return mxfp8 ? launch<Config<true, Major::k, Major::k, true>>(gemm, stream)
                   : launch<Config<false, Major::mn, Major::mn, true>>(gemm, stream);
  }
  return cudaErrorInvalidValue;
}

}  // namespace moeline::kernels
