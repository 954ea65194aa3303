#include "spec/dtype.hpp"

#include <array>
#include <utility>

#include "error.hpp"

namespace moeline {
namespace {

struct Row {
  DType type;
  std::string_view name;
  std::string_view tensor_path;
};
constexpr std::array kRows{
    Row{DType::fp32, "fp32", "tf32"},          Row{DType::tf32, "tf32", "tf32"},
    Row{DType::bf16, "bf16", "bf16"},          Row{DType::fp8, "fp8", "fp8"},
    Row{DType::fp8_block, "fp8_block", "fp8"}, Row{DType::mxfp8, "mxfp8", "fp8"},
    Row{DType::mxfp4, "mxfp4", "fp4"},         Row{DType::nvfp4, "nvfp4", "fp4"},
};
constexpr std::array<std::pair<std::string_view, DType>, 7> kAliases{{
    {"bfloat16", DType::bf16},
    {"float16", DType::bf16},
    {"fp16", DType::bf16},
    {"float32", DType::fp32},
    {"float8_e4m3fn", DType::fp8},
    {"fp8_tensor", DType::fp8},
    {"half", DType::bf16},
}};

const Row& row(DType type) {
  for (const Row& candidate : kRows) {
    if (candidate.type == type) return candidate;
  }
  MOELINE_EXPECT(false);
  return kRows[0];
}

}  // namespace

std::string_view name(DType type) { return row(type).name; }
std::string_view tensor_path(DType type) { return row(type).tensor_path; }

std::optional<DType> dtype_named(std::string_view name) {
  for (const Row& candidate : kRows) {
    if (candidate.name == name) return candidate.type;
  }
  for (const auto& [alias, type] : kAliases) {
    if (alias == name) return type;
  }
  return std::nullopt;
}

}  // namespace moeline
