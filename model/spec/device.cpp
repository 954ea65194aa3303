#include "spec/device.hpp"

namespace moeline {
namespace {

constexpr Dimension kBytes{.byte = 1}, kBandwidth{.second = -1, .byte = 1}, kRate{.second = -1, .flop = 1},
    kFrequency{.second = -1}, kPower{.second = -1, .joule = 1};

TensorPeaks read_peaks(ObjectReader reader) {
  TensorPeaks peaks;
  peaks.bf16 = reader.optional_fact<kRate>("bf16");
  peaks.fp8 = reader.optional_fact<kRate>("fp8");
  peaks.fp4 = reader.optional_fact<kRate>("fp4");
  peaks.tf32 = reader.optional_fact<kRate>("tf32");
  reader.finish();
  return peaks;
}

TensorPeaks read_optional_peaks(ObjectReader& reader, std::string_view key) {
  reader.skip(key);
  return reader.has(key) ? read_peaks(reader.object(key)) : TensorPeaks{};
}

// A sparse peak printed as dense is the commonest error of hardware tables: dense can never exceed it.
void check_peaks(const ObjectReader& reader, const TensorPeaks& dense, const TensorPeaks& sparse) {
  if (!dense.bf16) reader.fail("dense_peak", "the bf16 peak is missing");
  for (const DType type : {DType::bf16, DType::fp8, DType::nvfp4, DType::tf32}) {
    if (dense.of(type) && sparse.of(type) && dense.of(type)->value > sparse.of(type)->value) {
      reader.fail("dense_peak", "a dense peak exceeds the sparse peak: are they exchanged?");
    }
  }
}

// What is known of the spread among devices where a profile has no measurement of its own: 8 % between the whiskers of a box
// plot, on average over five machines, which are 5.4 deviations apart.
const Fact<double> kUsualSpread{0.08 / 5.4, "arXiv 2208.11035: five machines with V100, RTX 5000 and MI60", true};

Gpu read_gpu(ObjectReader& reader) {
  Gpu gpu;
  gpu.name = reader.string("name");
  gpu.architecture = reader.one_of("architecture", {"sm_80", "sm_90", "sm_100", "sm_103", "sm_120", "gfx942", "gfx950"});
  gpu.multiprocessors = reader.integer_fact("multiprocessors", {1, 100000});
  gpu.boost_clock = reader.fact<kFrequency>("boost_clock");
  gpu.hbm_capacity = reader.fact<kBytes>("hbm_capacity");
  gpu.hbm_bandwidth = reader.fact<kBandwidth>("hbm_bandwidth");
  gpu.l2_capacity = reader.fact<kBytes>("l2_capacity");
  gpu.llc_capacity = reader.optional_fact<kBytes>("llc_capacity");
  gpu.shared_memory_per_multiprocessor = reader.fact<kBytes>("shared_memory_per_multiprocessor");
  gpu.dense_peak = read_peaks(reader.object("dense_peak"));
  gpu.sparse_peak = read_optional_peaks(reader, "sparse_peak");
  gpu.vector_fp32 = reader.fact<kRate>("vector_fp32");
  gpu.power_cap = reader.fact<kPower>("power_cap");
  gpu.rate_spread = reader.number_fact_or("rate_spread", 0, 0.2, kUsualSpread);
  check_peaks(reader, gpu.dense_peak, gpu.sparse_peak);
  return gpu;
}

// A plain processor in its own words; the cost equations see a GPU whose multiprocessors are cores, whose HBM is the
// memory and whose L2 is the last-level cache. Products of every format run in fp32, operands widened on the way: one peak.
Gpu read_host(ObjectReader& reader) {
  Gpu host;
  host.name = reader.string("name");
  host.architecture = "host";
  host.multiprocessors = reader.integer_fact("cores", {1, 100000});
  host.boost_clock = reader.fact<kFrequency>("clock");
  host.hbm_capacity = reader.fact<kBytes>("memory_capacity");
  host.hbm_bandwidth = reader.fact<kBandwidth>("memory_bandwidth");
  host.l2_capacity = reader.fact<kBytes>("last_level_cache");
  host.shared_memory_per_multiprocessor = reader.fact<kBytes>("core_cache");
  host.vector_fp32 = reader.fact<kRate>("peak");
  host.power_cap = reader.fact<kPower>("power_cap");
  Fact<FlopsPerSecond> emulated = host.vector_fp32;
  emulated.source += "; emulated in fp32";
  emulated.inferred = true;
  host.dense_peak = {.bf16 = emulated, .fp8 = emulated, .fp4 = {}, .tf32 = host.vector_fp32};
  return host;
}

Wafer read_wafer(ObjectReader& reader) {
  Wafer wafer;
  wafer.name = reader.string("name");
  wafer.cores = reader.integer_fact("cores", kPositive);
  wafer.simd_width = reader.integer_fact("simd_width", {1, 4096});
  wafer.clock = reader.fact<kFrequency>("clock");
  wafer.sram_capacity = reader.fact<kBytes>("sram_capacity");
  wafer.sram_bandwidth = reader.fact<kBandwidth>("sram_bandwidth");
  wafer.wafer_fabric_bandwidth = reader.fact<kBandwidth>("wafer_fabric_bandwidth");
  wafer.input_bandwidth = reader.fact<kBandwidth>("input_bandwidth");
  wafer.output_bandwidth = reader.fact<kBandwidth>("output_bandwidth");
  wafer.dense_peak = read_peaks(reader.object("dense_peak"));
  wafer.sparse_peak = read_optional_peaks(reader, "sparse_peak");
  wafer.power_cap = reader.fact<kPower>("power_cap");
  check_peaks(reader, wafer.dense_peak, wafer.sparse_peak);
  return wafer;
}

}  // namespace

const std::optional<Fact<FlopsPerSecond>>& TensorPeaks::of(DType type) const {
  const std::string_view path = tensor_path(type);
  if (path == "bf16") return bf16;
  if (path == "fp8") return fp8;
  if (path == "fp4") return fp4;
  return tf32;
}

Device read_device(ObjectReader reader) {
  const std::string kind = reader.one_of("kind", {"gpu", "wafer", "host"});
  Device device;
  if (kind == "gpu") {
    device = read_gpu(reader);
  } else if (kind == "host") {
    device = read_host(reader);
  } else {
    device = read_wafer(reader);
  }
  reader.finish();
  return device;
}

const std::string& name(const Device& device) {
  return std::visit([](const auto& d) -> const std::string& { return d.name; }, device);
}

Bytes memory_capacity(const Device& device) {
  if (const Gpu* gpu = std::get_if<Gpu>(&device)) return gpu->hbm_capacity.value;
  return std::get<Wafer>(device).sram_capacity.value;
}

}  // namespace moeline
