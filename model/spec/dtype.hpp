// How many bits does one element take, its share of block scales included?
//
//   bf16 16 · fp8 (one scale per tensor) 8 · fp8_block (fp32 per 1x128) 8.25 · mxfp8 (E8M0 per 32) 8.25
//   mxfp4 (E8M0 per 32) 4.25 · nvfp4 (E4M3 per 16) 4.5
// Sources: OCP MX v1.0 (block 32, 8-bit scale); DeepSeek-V3 report (1x128 scales); NVIDIA NVFP4 (block 16).
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "units.hpp"

namespace moeline {

enum class DType { fp32, tf32, bf16, fp8, fp8_block, mxfp8, mxfp4, nvfp4 };

// Storage per element, scales included; in the order of the enumeration.
inline constexpr std::array kBits{32.0, 32.0, 16.0, 8.0, 8 + 32.0 / 128, 8 + 8.0 / 32, 4 + 8.0 / 32, 4 + 8.0 / 16};
constexpr double bits(DType type) { return kBits[static_cast<std::size_t>(type)]; }
inline Bytes bytes(DType type, double elements) { return elements * bits(type) / 8 * byte; }

std::string_view name(DType type);
std::optional<DType> dtype_named(std::string_view name);  // accepts Hugging Face's "bfloat16", "float8_e4m3fn", ...

// Which tensor-core peak a matrix product in this format runs at: "bf16", "fp8", "fp4" or "tf32".
std::string_view tensor_path(DType type);

}  // namespace moeline
