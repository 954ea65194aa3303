// In which precision does each part of a step compute, travel and rest, and by whose kernels?
//
// A recipe is data: the format of every GEMM class, of the wires, of stored weights; whose kernels quantise and
// multiply; which copies they make, when, and how scales reach the layout that tensor cores read. From it follow, for
// each of
//   fprop  Y = X W      dgrad  dX = dY W'     wgrad  dW = dY' X
// two operands. A block-scaled operand has its scales along the reduction, so every tensor is needed twice: as rows
// (1 x 32) and as columns (32 x 1), and one is not the transpose of the other. Reasons: docs/decisions/0006.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "error.hpp"
#include "spec/device.hpp"
#include "spec/dtype.hpp"
#include "spec/reader.hpp"

namespace moeline {

// Whose kernels: rates in gpu/quantise. `fused` is a layer written for MXFP8 from scratch; `megablocks` a layer of
// portable block-sparse kernels, as first ported to a new generation.
enum class Kernels { te, torchao, fused, megablocks };

// How scales get into the order that the tensor cores read: plain order is right (or there is one scale), a kernel of
// its own rearranges them, or the quantiser writes them in place.
enum class ScaleLayout { plain, relayout, in_place };

// When the quantised copies of a weight are made.
enum class Made { micro_batch, optimizer_step };

struct Recipe {
  std::string name;
  DType linear = DType::bf16;  // attention projections, dense FFN, shared expert
  DType expert = DType::bf16;  // routed experts
  DType router = DType::bf16;
  DType head = DType::bf16;
  DType dispatch_wire = DType::bf16;
  DType combine_wire = DType::bf16;
  DType gradient_wire = DType::bf16;  // gradients of expert outputs on their way to the experts, in backward
  DType weight = DType::bf16;      // of parameters whose GEMM is quantised: bf16 beside the copies, or those alone
  bool transposed_weight = false;  // a second quantised copy of every weight, for dgrad

  Kernels kernels = Kernels::te;
  ScaleLayout scales = ScaleLayout::plain;
  Made weights_made = Made::optimizer_step;
  bool maximum_pass = false;  // reads a tensor once more for its largest value, before the cast
  bool both_ways = true;  // rows and columns from one read, in forward; else columns by a pass of their own in backward
  bool fused_activation = false;  // SwiGLU quantises what it writes
  bool fused_permute = false;     // sorting rows by expert quantises them, where no exchange lies between
  bool quantised_dispatch =
      false;                  // rows are quantised before they travel; wgrad of their expert products is then bf16
  bool megakernel = false;        // dispatch, experts and combine are one kernel, where rows are exchanged
  double software_block = 0;  // elements along k whose scale the CUDA cores apply to partial sums; 0: none
  bool dequantised = false;   // copies are expanded to bf16 in front of every product

  bool operator==(const Recipe&) const = default;
};

std::vector<std::string> recipe_names();
// A name, or an object {"base": name, field: value, ...}.
Recipe read_recipe(const Json& json, const std::string& where);

// Replaces formats the device has no tensor path for by the nearest legal form, and says so in `notes`; Infeasible when
// there is none. mxfp8 needs block-scaled tensor cores (sm_100 on, gfx950); sm_90 folds its exponents into 1x128
// blocks.
std::optional<Infeasible> legalise(Recipe& recipe, const Device& device, std::vector<std::string>& notes);

// One operand of one product, as the kernels of a recipe see it.
struct Operand {
  std::string_view tensor;  // "input", "weight", "gradient"
  DType format = DType::bf16;
  std::string_view direction;  // "rows", "columns"; "-" without blocks
  std::string_view made;       // "-" (as it lies), "micro-batch", "optimizer step"
};
struct Product {
  std::string_view layer;  // "linear", "expert", "shared expert", "router", "head"
  std::string_view name;   // "fprop", "dgrad", "wgrad"
  Operand left, right;
};
std::vector<Product> products(const Recipe& recipe);

std::string_view name(Kernels kernels);
std::string_view name(ScaleLayout layout);
std::string_view name(Made made);

inline bool is_quantised(DType type) { return bits(type) < 16; }
inline bool has_block_scales(DType type) { return is_quantised(type) && type != DType::fp8; }
// What the tensor cores are given for a tensor kept as `type`.
inline DType multiplied(const Recipe& recipe, DType type) {
  return recipe.dequantised && is_quantised(type) ? DType::bf16 : type;
}
// What wgrad of the routed experts multiplies: what travelled row-wise has no columns.
inline DType expert_wgrad(const Recipe& recipe) {
  return recipe.quantised_dispatch ? DType::bf16 : multiplied(recipe, recipe.expert);
}

}  // namespace moeline
