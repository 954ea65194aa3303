// How do eight bf16 become eight E4M3 and back? Device arithmetic shared by the memory-bound kernels; exponents.hpp has
// the integer part, which the CPU tests cover.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp8.h>

#include "validate/kernels/exponents.hpp"

namespace moeline::kernels {

__device__ __forceinline__ std::uint32_t bits_of(__nv_bfloat162 pair) { return reinterpret_cast<std::uint32_t&>(pair); }
__device__ __forceinline__ __nv_bfloat162 pair_of(std::uint32_t bits) {
  return reinterpret_cast<__nv_bfloat162&>(bits);
}

// Eight bf16 as they lie in memory.
struct Eight {
  std::uint32_t words[4];
  __device__ __nv_bfloat162 pair(int i) const { return pair_of(words[i]); }
  __device__ uint4 bits() const { return {words[0], words[1], words[2], words[3]}; }
};
__device__ __forceinline__ Eight eight(uint4 bits) { return {{bits.x, bits.y, bits.z, bits.w}}; }

__device__ __forceinline__ float2 unpacked(__nv_bfloat162 pair) { return __bfloat1622float2(pair); }

__device__ __forceinline__ std::uint32_t packed_e4m3(float a, float b, float c, float d) {
  const std::uint32_t low = __nv_cvt_float2_to_fp8x2({a, b}, __NV_SATFINITE, __NV_E4M3);
  const std::uint32_t high = __nv_cvt_float2_to_fp8x2({c, d}, __NV_SATFINITE, __NV_E4M3);
  return low | high << 16;
}

__device__ __forceinline__ std::uint32_t quantised4(__nv_bfloat162 x, __nv_bfloat162 y, float reciprocal) {
  const float2 a = unpacked(x), b = unpacked(y);
  return packed_e4m3(a.x * reciprocal, a.y * reciprocal, b.x * reciprocal, b.y * reciprocal);
}

__device__ __forceinline__ float2 e4m3_pair(std::uint32_t two) {
  const __half2_raw half = __nv_cvt_fp8x2_to_halfraw2(static_cast<__nv_fp8x2_storage_t>(two), __NV_E4M3);
  return __half22float2(__half2(half));
}

// Four E4M3 times a power of two, rounded again.
__device__ __forceinline__ std::uint32_t moved(std::uint32_t four, float by) {
  const float2 a = e4m3_pair(four & 0xFFFF), b = e4m3_pair(four >> 16);
  return packed_e4m3(a.x * by, a.y * by, b.x * by, b.y * by);
}

__device__ __forceinline__ __nv_bfloat162 larger(__nv_bfloat162 a, __nv_bfloat162 b) {
  return __hmax2_nan(__habs2(a), __habs2(b));
}

// Magnitudes of bf16 compare as integers, NaN above all.
__device__ __forceinline__ std::uint32_t magnitude(__nv_bfloat162 pair) {
  const std::uint32_t bits = bits_of(pair) & 0x7FFF7FFF;
  return max(bits >> 16, bits & 0xFFFF);
}

}  // namespace moeline::kernels
