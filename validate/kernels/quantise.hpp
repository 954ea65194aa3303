// bf16 -> MXFP8 (E4M3 with one E8M0 exponent per 32), row-wise, column-wise and transposed, or both from one read.
//
//   bytes per element: 2 read, 1 + 1/32 written per copy; with SwiGLU 4 read, with its backward 3 read for each written
// A block of threads takes a tile of 128 x 128: exactly one 512-byte tile of scales in each direction, written in the
// layout that the product reads (ScaleForm), so that no pass over the scales follows.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

namespace moeline::kernels {

enum class ScaleForm {
  tiled,   // E8M0 bytes in tiles of 128 x 4 (scale_layout.hpp): tensor cores of sm_100, cuBLASLt
  folded,  // one float per 128 of k, values folded (exponents.hpp): [k / 128][rows]
  block    // one float per 32 of k: [k / 32][rows]
};

enum class QuantiseSource {
  plain,           // input [rows][columns]
  gather,          // row r is input row source_row[r], or zeros where that is negative: dispatch and padding in one
  swiglu,          // input [rows][2 columns]: gate, then up; the output is silu(gate) * up, rounded to bf16 first
  swiglu_backward  // that, with gradient [rows][columns]: the output [rows][2 columns] is the input's gradient
};

struct QuantisedCopy {
  std::uint8_t* values = nullptr;  // null: this copy is not wanted
  void* scales = nullptr;
};

struct Quantise {
  QuantiseSource source = QuantiseSource::plain;
  ScaleForm form = ScaleForm::tiled;
  const void* input = nullptr;
  const void* gradient = nullptr;
  const int* source_row = nullptr;
  int rows = 0, columns = 0;     // multiples of 128; of the output, before the backward doubles the columns
  int batch = 1;                 // matrices one after another: the weights of all experts
  QuantisedCopy row_wise;        // [rows][columns], scales along columns
  QuantisedCopy column_wise;     // [columns][rows], scales along rows
  int* largest_shift = nullptr;  // folded: receives the largest shift of any block (max with what is there)
};
cudaError_t quantise(const Quantise& pass, cudaStream_t stream);

// Weights, once per step: row-wise values with tiled scales are folded over whole rows, in place. Then the product
// needs one scale per row of weights, at its end.
struct FoldRows {
  std::uint8_t* values = nullptr;        // [rows][columns]
  const std::uint8_t* scales = nullptr;  // tiled
  float* row_scales = nullptr;           // [rows]
  int rows = 0, columns = 0;
  int* largest_shift = nullptr;
};
cudaError_t fold_rows(const FoldRows& pass, cudaStream_t stream);

// MXFP8 with tiled scales -> bf16, without loss: the exact route on machines without block-scaled tensor cores.
struct Dequantise {
  const std::uint8_t* values = nullptr;
  const std::uint8_t* scales = nullptr;
  void* output = nullptr;
  int rows = 0, columns = 0;
};
cudaError_t dequantise(const Dequantise& pass, cudaStream_t stream);

}  // namespace moeline::kernels
