// Which code runs the experts of a layer, in the words of Hugging Face Transformers (`experts_implementation`)?
//
//   eager       a loop over the experts that were hit
//   batched_mm  a copy of the weights for every routed row, then one batched product
//   grouped_mm  rows sorted by expert, then one grouped product (a loop over the experts before sm_90)
//   deepgemm    the same with rows padded to blocks and the sort, activation and sum fused (sm_90 on)
#pragma once

#include <string_view>

#include "spec/enum_set.hpp"
#include "spec/reader.hpp"

namespace moeline {

enum class ExpertsBackend { eager, batched_mm, grouped_mm, deepgemm };

// torch.compile: none issues every operator from Python; default fuses element-wise passes and frees what is read;
// max_autotune also reads weights through the gather of batched_mm instead of copying them.
enum class Compile { none, standard, max_autotune };

struct ExpertsCode {
  EnumSet<ExpertsBackend> backends{};  // empty: not asked about
  Compile compile = Compile::none;
};

// Keys `experts_backend` (a name, or "all") and `compile` (none, default, max_autotune).
ExpertsCode read_experts_code(ObjectReader& reader);

std::string_view name(ExpertsBackend backend);
std::string_view name(Compile compile);

}  // namespace moeline
