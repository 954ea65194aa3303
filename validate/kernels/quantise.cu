#include "validate/kernels/quantise.hpp"

#include "validate/codec.hpp"
#include "validate/kernels/launch.cuh"
#include "validate/kernels/mxfp8.cuh"
#include "validate/kernels/scale_layout.hpp"

namespace moeline::kernels {
namespace {

constexpr int kThreads = 256;
constexpr int kChunks = kTile / 8;                // 16-byte chunks in a row of the tile
constexpr int kRowsPerPass = kThreads / kChunks;  // 16
constexpr int kPasses = kTile / kRowsPerPass;     // 8 loads in flight per thread
constexpr int kTileWords = kTile / 2;             // 32-bit words in a row of the tile

// --- sources: eight bf16 at (row, column) of output part `part` ----------------------------------------------------
__device__ __forceinline__ Eight load(const __nv_bfloat16* at) {
  return eight(__ldcs(reinterpret_cast<const uint4*>(at)));
}

struct Plain {
  static constexpr int kParts = 1;
  const __nv_bfloat16* input;
  int columns;
  __device__ Eight at(std::size_t row, int column, int) const { return load(input + row * columns + column); }
};

struct Gather {
  static constexpr int kParts = 1;
  const __nv_bfloat16* input;
  const int* source_row;
  int columns;
  __device__ Eight at(std::size_t row, int column, int) const {
    const int from = __ldg(source_row + row);
    if (from < 0) return {};
    return load(input + static_cast<std::size_t>(from) * columns + column);
  }
};

__device__ __forceinline__ float sigmoid(float x) { return 1.0f / (1.0f + __expf(-x)); }

struct SwiGlu {
  static constexpr int kParts = 1;
  const __nv_bfloat16* input;
  int columns;
  __device__ Eight at(std::size_t row, int column, int) const {
    const __nv_bfloat16* gate = input + row * 2 * columns + column;
    const Eight g = load(gate), u = load(gate + columns);
    Eight y;
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const float2 a = unpacked(g.pair(i)), b = unpacked(u.pair(i));
      y.words[i] = bits_of(__floats2bfloat162_rn(a.x * sigmoid(a.x) * b.x, a.y * sigmoid(a.y) * b.y));
    }
    return y;
  }
};

// Part 0 is the gradient of the gate, part 1 of up; the second part finds its inputs in the first-level cache.
struct SwiGluBackward {
  static constexpr int kParts = 2;
  const __nv_bfloat16* input;
  const __nv_bfloat16* gradient;
  int columns;

  static __device__ __forceinline__ float derivative(float g, float u, float dy, int part) {
    const float s = sigmoid(g);
    return part == 0 ? dy * u * s * (1.0f + g * (1.0f - s)) : dy * g * s;
  }
  __device__ Eight at(std::size_t row, int column, int part) const {
    const __nv_bfloat16* gate = input + row * 2 * columns + column;
    const Eight g = eight(__ldg(reinterpret_cast<const uint4*>(gate)));
    const Eight u = eight(__ldg(reinterpret_cast<const uint4*>(gate + columns)));
    const Eight d = eight(__ldg(reinterpret_cast<const uint4*>(gradient + row * columns + column)));
    Eight y;
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const float2 a = unpacked(g.pair(i)), b = unpacked(u.pair(i)), c = unpacked(d.pair(i));
      y.words[i] = bits_of(__floats2bfloat162_rn(derivative(a.x, b.x, c.x, part), derivative(a.y, b.y, c.y, part)));
    }
    return y;
  }
};

// --- the two directions --------------------------------------------------------------------------------------------
struct Outputs {
  ScaleForm form;
  int rows, columns;  // of the whole output matrix
  QuantisedCopy row_wise, column_wise;
  int* largest_shift;
};

// Exponents of the four blocks of a line (row or column) of the tile, a byte each.
using LineExponents = std::uint32_t[kTile];

// Chunks of 16 bytes trade places by row block, so that reading columns meets every bank once.
__device__ __forceinline__ int stored_chunk(int row, int chunk) { return chunk ^ row / kBlock * 2; }

__device__ __forceinline__ std::uint32_t largest_over(std::uint32_t value, int from, int to) {
  for (int lanes = from; lanes < to; lanes *= 2) value = max(value, __shfl_xor_sync(0xFFFFFFFF, value, lanes));
  return value;
}

// Four lanes share a block, sixteen a line of the tile.
__device__ __forceinline__ void quantise_row_chunk(const Eight& x, const Outputs& out, std::size_t row, int column,
                                                   std::uint8_t* exponent) {
  const __nv_bfloat162 pair = larger(larger(x.pair(0), x.pair(1)), larger(x.pair(2), x.pair(3)));
  const std::uint32_t e = block_exponent(largest_over(magnitude(pair), 1, 4));
  const float reciprocal = __uint_as_float(reciprocal_bits(e));
  uint2 q{quantised4(x.pair(0), x.pair(1), reciprocal), quantised4(x.pair(2), x.pair(3), reciprocal)};
  if (out.form == ScaleForm::folded) {
    const std::uint32_t e_max = largest_over(e, 4, 16);
    const float by = __uint_as_float(fold_bits(e_max, e));
    if (e != e_max) q = {moved(q.x, by), moved(q.y, by)};
  }
  __stcs(reinterpret_cast<uint2*>(out.row_wise.values + row * out.columns + column), q);
  if (threadIdx.x % 4 == 0) *exponent = static_cast<std::uint8_t>(e);
}

// One thread: two columns over one block of 32 rows; lanes 8 apart hold the other blocks of the same columns.
__device__ __forceinline__ void quantise_column_pair(const std::uint32_t* tile, const Outputs& out, std::size_t row0,
                                                     int column0, LineExponents& exponents) {
  const int lane = threadIdx.x % 32, pair = threadIdx.x / 32 * 8 + lane % 8, block = lane / 8;
  __nv_bfloat162 x[kBlock];
  __nv_bfloat162 most{};
#pragma unroll
  for (int r = 0; r < kBlock; ++r) {
    const int row = block * kBlock + r;
    x[r] = pair_of(tile[row * kTileWords + stored_chunk(row, pair / 4) * 4 + pair % 4]);
    most = larger(most, x[r]);
  }
#pragma unroll
  for (int side = 0; side < 2; ++side) {
    const std::uint32_t e = block_exponent(bits_of(most) >> 16 * side & 0x7FFF);
    const float reciprocal = __uint_as_float(reciprocal_bits(e));
    const std::uint32_t e_max = out.form == ScaleForm::folded ? largest_over(e, 8, 32) : e;
    const int column = pair * 2 + side;
    std::uint32_t q[kBlock / 4];
#pragma unroll
    for (int i = 0; i < kBlock / 4; ++i) {
      float f[4];
#pragma unroll
      for (int j = 0; j < 4; ++j)
        f[j] = __uint_as_float(side ? bits_of(x[4 * i + j]) & 0xFFFF0000 : bits_of(x[4 * i + j]) << 16);
      q[i] = packed_e4m3(f[0] * reciprocal, f[1] * reciprocal, f[2] * reciprocal, f[3] * reciprocal);
    }
    if (e != e_max) {
#pragma unroll
      for (int i = 0; i < kBlock / 4; ++i) q[i] = moved(q[i], __uint_as_float(fold_bits(e_max, e)));
    }
    uint4* to = reinterpret_cast<uint4*>(out.column_wise.values +
                                         static_cast<std::size_t>(column0 + column) * out.rows + row0 + block * kBlock);
    __stcs(to, uint4{q[0], q[1], q[2], q[3]});
    __stcs(to + 1, uint4{q[4], q[5], q[6], q[7]});
    reinterpret_cast<std::uint8_t*>(exponents)[column * kTileBlocks + block] = static_cast<std::uint8_t>(e);
  }
}

__device__ __forceinline__ void record_shift(int shift, int* largest_shift) {
  shift = __reduce_max_sync(0xFFFFFFFF, shift);
  if (threadIdx.x % 32 == 0 && shift > 0) atomicMax(largest_shift, shift);
}

// Thread `line` writes the scales of one line: tile (line_tile, k_tile) of a matrix of `lines` lines, `k_tiles` along
// k.
__device__ __forceinline__ void write_scales(const Outputs& out, void* scales, std::uint32_t exponents, int line,
                                             int lines, int line_tile, int k_tile, int k_tiles) {
  if (out.form == ScaleForm::tiled) {
    const std::size_t tile = static_cast<std::size_t>(line_tile) * k_tiles + k_tile;
    static_cast<std::uint32_t*>(scales)[tile * kTile + scale_word(line)] = exponents;
    return;
  }
  float* to = static_cast<float*>(scales) + line_tile * kTile + line;
  std::uint32_t e_max = 0;
  int shift = 0;
  for (int block = 0; block < kTileBlocks; ++block) e_max = max(e_max, exponents >> 8 * block & 0xFF);
  for (int block = 0; block < kTileBlocks; ++block) {
    const std::uint32_t e = exponents >> 8 * block & 0xFF;
    if (counts_for_spread(e)) shift = max(shift, fold_shift(e_max, e));
    if (out.form == ScaleForm::block) {
      to[(static_cast<std::size_t>(k_tile) * kTileBlocks + block) * lines] = __uint_as_float(scale_bits(e));
    }
  }
  if (out.form == ScaleForm::folded) {
    to[static_cast<std::size_t>(k_tile) * lines] = __uint_as_float(scale_bits(e_max));
    if (out.largest_shift != nullptr) record_shift(shift, out.largest_shift);
  }
}

// Bytes of scales of one matrix of `elements`.
std::size_t scale_stride(ScaleForm form, std::size_t elements) {
  return form == ScaleForm::block ? elements / kBlock * sizeof(float) : elements / kBlock;
}

template <class Source>
__global__ void __launch_bounds__(kThreads) quantise_tiles(Source source, Outputs out) {
  uint4* tile = dynamic_shared<uint4>();  // [kTile][kChunks], only with a column-wise copy
  __shared__ LineExponents row_exponents, column_exponents;
  const bool rows_wanted = out.row_wise.values != nullptr, columns_wanted = out.column_wise.values != nullptr;
  const int row_tile = blockIdx.y, row0 = row_tile * kTile;
  const int chunk = threadIdx.x % kChunks, first_row = threadIdx.x / kChunks;
  for (int part = 0; part < Source::kParts; ++part) {
    const int column_tile = part * gridDim.x + blockIdx.x, column0 = column_tile * kTile;
    Eight x[kPasses];
#pragma unroll
    for (int i = 0; i < kPasses; ++i) {
      x[i] = source.at(row0 + first_row + kRowsPerPass * i, blockIdx.x * kTile + chunk * 8, part);
    }
#pragma unroll
    for (int i = 0; i < kPasses; ++i) {
      const int row = first_row + kRowsPerPass * i;
      std::uint8_t* exponent = reinterpret_cast<std::uint8_t*>(row_exponents) + row * kTileBlocks + chunk / 4;
      if (rows_wanted) quantise_row_chunk(x[i], out, row0 + row, column0 + chunk * 8, exponent);
      if (columns_wanted) tile[row * kChunks + stored_chunk(row, chunk)] = x[i].bits();
    }
    __syncthreads();
    if (columns_wanted) {
      quantise_column_pair(reinterpret_cast<const std::uint32_t*>(tile), out, row0, column0, column_exponents);
      __syncthreads();
    }
    const int line = threadIdx.x % kTile;
    if (rows_wanted && threadIdx.x < kTile) {
      write_scales(out, out.row_wise.scales, row_exponents[line], line, out.rows, row_tile, column_tile,
                   out.columns / kTile);
    }
    if (columns_wanted && threadIdx.x >= kTile) {
      write_scales(out, out.column_wise.scales, column_exponents[line], line, out.columns, column_tile, row_tile,
                   out.rows / kTile);
    }
    if (Source::kParts > 1) __syncthreads();
  }
}

template <class Source>
cudaError_t launch_tiles(const Source& source, const Outputs& out, int columns, cudaStream_t stream) {
  const std::size_t shared = out.column_wise.values != nullptr ? kTile * kTile * 2 : 0;
  const dim3 grid(static_cast<unsigned>(columns / kTile), static_cast<unsigned>(out.rows / kTile));
  return launch(quantise_tiles<Source>, grid, kThreads, shared, stream, source, out);
}

QuantisedCopy advanced(const QuantisedCopy& copy, ScaleForm form, std::size_t elements) {
  if (copy.values == nullptr) return {};
  return {copy.values + elements, static_cast<char*>(copy.scales) + scale_stride(form, elements)};
}

cudaError_t quantise_matrix(const Quantise& pass, std::size_t index, cudaStream_t stream) {
  const int parts = pass.source == QuantiseSource::swiglu_backward ? 2 : 1;
  const std::size_t elements = static_cast<std::size_t>(pass.rows) * pass.columns * parts;
  const auto* input = static_cast<const __nv_bfloat16*>(pass.input) + index * elements;
  const Outputs out{pass.form,
                    pass.rows,
                    pass.columns * parts,
                    advanced(pass.row_wise, pass.form, index * elements),
                    advanced(pass.column_wise, pass.form, index * elements),
                    pass.largest_shift};
  switch (pass.source) {
    case QuantiseSource::plain:
      return launch_tiles(Plain{input, pass.columns}, out, pass.columns, stream);
    case QuantiseSource::gather:
      return launch_tiles(Gather{input, pass.source_row, pass.columns}, out, pass.columns, stream);
    case QuantiseSource::swiglu:
      return launch_tiles(SwiGlu{input, pass.columns}, out, pass.columns, stream);
    case QuantiseSource::swiglu_backward:
      return launch_tiles(SwiGluBackward{input, static_cast<const __nv_bfloat16*>(pass.gradient), pass.columns}, out,
                          pass.columns, stream);
  }
  return cudaErrorInvalidValue;
}

// --- whole rows, and back ------------------------------------------------------------------------------------------
__global__ void __launch_bounds__(128) fold_rows_kernel(FoldRows pass) {
  __shared__ std::uint32_t shared_max;
  const std::size_t row = blockIdx.x;
  const int blocks = pass.columns / kBlock;
  if (threadIdx.x == 0) shared_max = 0;
  __syncthreads();
  std::uint32_t e_max = 0;
  for (int block = threadIdx.x; block < blocks; block += blockDim.x) {
    const std::uint32_t e = pass.scales[tiled_scale_offset(row, block, blocks)];
    e_max = max(e_max, e);
  }
  atomicMax(&shared_max, e_max);
  __syncthreads();
  e_max = shared_max;
  int largest = 0;
  for (int block = threadIdx.x; block < blocks; block += blockDim.x) {
    const std::uint32_t e = pass.scales[tiled_scale_offset(row, block, blocks)];
    if (e == e_max) continue;
    if (counts_for_spread(e)) largest = max(largest, fold_shift(e_max, e));
    const float by = __uint_as_float(fold_bits(e_max, e));
    auto* values = reinterpret_cast<uint4*>(pass.values + row * pass.columns + block * kBlock);
    for (int half = 0; half < 2; ++half) {
      const uint4 q = values[half];
      values[half] = {moved(q.x, by), moved(q.y, by), moved(q.z, by), moved(q.w, by)};
    }
  }
  __syncwarp();
  if (pass.largest_shift != nullptr) record_shift(largest, pass.largest_shift);
  if (threadIdx.x == 0) pass.row_scales[row] = __uint_as_float(scale_bits(e_max));
}

__device__ __forceinline__ std::uint32_t scaled_pair(std::uint32_t two, float scale) {
  const float2 f = e4m3_pair(two & 0xFFFF);
  return bits_of(__floats2bfloat162_rn(f.x * scale, f.y * scale));
}

// A thread takes 16 elements, half a block.
__global__ void __launch_bounds__(kThreads) dequantise_kernel(Dequantise pass) {
  const int chunks = pass.columns / 16, blocks = pass.columns / kBlock;
  const std::size_t at = static_cast<std::size_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (at >= static_cast<std::size_t>(pass.rows) * chunks) return;
  const int row = static_cast<int>(at / chunks), chunk = static_cast<int>(at % chunks);
  const uint4 q = __ldcs(reinterpret_cast<const uint4*>(pass.values) + at);
  const float scale = __uint_as_float(scale_bits(__ldg(pass.scales + tiled_scale_offset(row, chunk / 2, blocks))));
  uint4* to = static_cast<uint4*>(pass.output) + 2 * at;
  __stcs(to, uint4{scaled_pair(q.x, scale), scaled_pair(q.x >> 16, scale), scaled_pair(q.y, scale),
                   scaled_pair(q.y >> 16, scale)});
  __stcs(to + 1, uint4{scaled_pair(q.z, scale), scaled_pair(q.z >> 16, scale), scaled_pair(q.w, scale),
                       scaled_pair(q.w >> 16, scale)});
}

}  // namespace

cudaError_t quantise(const Quantise& pass, cudaStream_t stream) {
  if (pass.rows % kTile != 0 || pass.columns % kTile != 0) return cudaErrorInvalidValue;
  if (pass.rows == 0) return cudaSuccess;
  for (int i = 0; i < pass.batch; ++i) {
    if (const cudaError_t error = quantise_matrix(pass, static_cast<std::size_t>(i), stream)) return error;
  }
  return cudaSuccess;
}

cudaError_t fold_rows(const FoldRows& pass, cudaStream_t stream) {
  return launch(fold_rows_kernel, static_cast<unsigned>(pass.rows), 128, 0, stream, pass);
}

cudaError_t dequantise(const Dequantise& pass, cudaStream_t stream) {
  if (pass.rows == 0) return cudaSuccess;
  const std::size_t chunks = static_cast<std::size_t>(pass.rows) * pass.columns / 16;
  return launch(dequantise_kernel, static_cast<unsigned>(divided_up(chunks, kThreads)), kThreads, 0, stream, pass);
}

}  // namespace moeline::kernels
