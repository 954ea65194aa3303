// In which precision does each part of a step compute, travel and rest?
//
// A recipe is data: the format of every GEMM class, of the dispatch and combine wires, of stored weights, gradients and
// optimiser states. `quantised` operands are made by their own passes (ops/decoder adds them); a recipe whose format
// has no tensor path on the device is refused, except mxfp8 on sm_90, which says what it becomes.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "error.hpp"
#include "spec/device.hpp"
#include "spec/dtype.hpp"
#include "spec/reader.hpp"

namespace moeline {

struct Recipe {
  std::string name;
  DType linear = DType::bf16;        // attention projections, dense FFN, shared expert
  DType expert = DType::bf16;        // routed experts
  DType router = DType::bf16;
  DType head = DType::bf16;
  DType dispatch_wire = DType::bf16;
  DType combine_wire = DType::bf16;
  DType weight = DType::bf16;        // of parameters whose GEMM is quantised: bf16 beside the quantised copies, or those alone
  bool transposed_weight = false;    // a second quantised copy of every weight, for dgrad
};

std::vector<std::string> recipe_names();
// A name, or an object {"base": name, field: dtype, ...}.
Recipe read_recipe(const Json& json, const std::string& where);

// Replaces formats the device has no tensor path for by the nearest legal form, and says so in `notes`; Infeasible when
// there is none. mxfp8 needs block-scaled tensor cores (sm_100 on, gfx950); sm_90 folds its exponents into 1x128 blocks.
std::optional<Infeasible> legalise(Recipe& recipe, const Device& device, std::vector<std::string>& notes);

}  // namespace moeline
