// What is one device? Facts only: every value carries unit and source; derived figures are functions.
//
// Gpu: tensor-core peaks per format (dense; sparse peaks are kept apart and never used for time), memory, L2, SMs,
// clock, power cap. Wafer: cores, SRAM, fabric, and the streams on and off the wafer. A plain processor (kind "host": cores,
// clock, measured peak and bandwidth, caches) is read into a Gpu, whose equations price it.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <variant>

#include "spec/dtype.hpp"
#include "spec/reader.hpp"

namespace moeline {

// Peak rate per tensor path; a format without hardware path is absent, never borrowed from another.
struct TensorPeaks {
  std::optional<Fact<FlopsPerSecond>> bf16, fp8, fp4, tf32;
  const std::optional<Fact<FlopsPerSecond>>& of(DType type) const;
};

struct Gpu {
  std::string name;
  std::string architecture;  // sm_80 sm_90 sm_100 sm_103 gfx942 gfx950 host
  Fact<std::int64_t> multiprocessors;
  Fact<Hertz> boost_clock;
  Fact<Bytes> hbm_capacity;
  Fact<BytesPerSecond> hbm_bandwidth;
  Fact<Bytes> l2_capacity;
  std::optional<Fact<Bytes>> llc_capacity;  // memory-side cache (AMD Infinity Cache)
  Fact<Bytes> shared_memory_per_multiprocessor;
  TensorPeaks dense_peak, sparse_peak;
  Fact<FlopsPerSecond> vector_fp32;  // outside the tensor cores
  Fact<Watts> power_cap;
  Fact<double> rate_spread;  // deviation of what devices of this kind sustain at the power limit, over their mean
};

struct Wafer {
  std::string name;
  Fact<std::int64_t> cores, simd_width;
  Fact<Hertz> clock;
  Fact<Bytes> sram_capacity;
  Fact<BytesPerSecond> sram_bandwidth, wafer_fabric_bandwidth, input_bandwidth, output_bandwidth;
  TensorPeaks dense_peak, sparse_peak;
  Fact<Watts> power_cap;
};

using Device = std::variant<Gpu, Wafer>;

Device read_device(ObjectReader reader);
const std::string& name(const Device& device);
Bytes memory_capacity(const Device& device);  // HBM of a GPU, SRAM of a wafer

}  // namespace moeline
