// What do scales cost on a GPU: making them, moving them, applying them?
//
//   quantise   t = launch + elements (read + copies x bits/8) / (share of HBM bandwidth that the quantiser reaches)
//   relayout   t = launch + 2 x scale bytes / (share ...), or a fixed time where every expert's block is padded alone
//   rescale in software     r = F_tensor / (F_vector b)          b: elements along k per scale
//     Hopper: partial sums are in registers, hidden while r <= 1;  Blackwell: in tensor memory, a bubble of r
//   block scales in tensor cores (sm_100): they take tensor memory, and one accumulator fits where two did
// A kernel form holds the few constants of one library, each read off one published figure, none fitted to a row that
// it is then compared with: docs/theory/mxfp8.md. Without a calibration every share is 1, as bounds are.
#pragma once

#include <optional>
#include <span>

#include "gpu/roofline.hpp"

namespace moeline {

struct KernelForm {
  double rows = 1, columns = 1;  // of HBM bandwidth, a quantiser writing row-wise (or both) and column-wise copies
  double relayout = 1;           // of HBM bandwidth
  Seconds relayout_launch;       // of a relayout
  std::optional<Seconds> relayout_groups;  // columns of grouped rows, whatever their number
  double grouped = 1;                      // main-loop rate of grouped block-scaled products, of the calibrated page's
  double wgrad = 1;                        // the same for grouped wgrad, of grouped fprop
  double grouped_bf16 = 1;                 // main-loop rate of grouped bf16 products, of the calibrated page's
  std::optional<FlopsPerSecond> most;      // what grouped bf16 products reach on any generation: ported, not rewritten
};
const KernelForm& kernel_form(Kernels kernels);

// Main-loop rate of dense block-scaled products over per-tensor FP8 on sm_100.
constexpr double kBlockScaled = 2750.0 / 3040;

double rescale_ratio(FlopsPerSecond tensor, FlopsPerSecond vector, double block);
// Factor on the time of a product whose partial sums are rescaled every `block` elements of k.
double rescaled(const Gpu& gpu, DType operands, double block);
bool has_block_scaled_path(const Gpu& gpu);

// Rows that tiles of `tile` rows compute for experts of these loads; an expert without rows costs nothing.
double padded_rows(std::span<const double> rows, double tile);

OpCost cost(const Quantize& pass, const Machine& machine);
OpCost cost(const Relayout& pass, const Machine& machine);
// Parameters of the page, as the format and the form change them.
GemmFit adapted(const Gemm& gemm, const Machine& machine);
GemmFit adapted(const GroupedGemm& gemm, const Machine& machine);

}  // namespace moeline
