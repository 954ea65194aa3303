#include "gpu/quantise.hpp"

#include <algorithm>
#include <cmath>

namespace moeline {
namespace {

// Bandwidth of the B200s that the quantisers were timed on (profile b200-sxm).
constexpr double kB200 = 7700;

// Sources, B200 all. [1] cursor.com/blog/kernels, 2025-08: table 4 (quantisers, E4M3 in blocks of 32), table 3, section
// on grouped products. [2] pytorch/ao, torchao/prototype/moe_training/README.md (BSD-3): per-kernel table of the
// DeepSeek-V3 shape. [3] pytorch/ao, docs/source/workflows/training.md: column-wise CUDA kernel, rceil, 16384 x 16384.
// Transformer Engine: 5,236 GB/s; with the reshape of the scales 4,430 [1]: 99 us for 2 x 29.4 MB of scales (its shape,
// 131,072 x 7,168, is inferred). Its grouped wgrad is not published and taken as TorchAO's.
constexpr KernelForm kTe{.rows = 5236.35 / kB200, .columns = 5236.35 / kB200, .relayout = 593 / kB200, .wgrad = 0.79};
// TorchAO: 5,245 GB/s row-wise [1], 5,717 column-wise [3]; relayout of 29.4 MB in 29.7 us and of 3.67 MB in 13.3 us,
// columns of grouped rows 199.8 us; fprop 1,671.2 us against wgrad 2,103.3 us [2]; bf16 grouped 865 TFLOP/s [2, Scout,
// 2 groups], 0.62 of the page.
const KernelForm kTorchao{.rows = 5245.15 / kB200,
                          .columns = 5716.72 / kB200,
                          .relayout = 3130 / kB200,
                          .relayout_launch = 10.95 * microsecond,
                          .relayout_groups = 199.8 * microsecond,
                          .wgrad = 1671.2 / 2103.3,
                          .grouped_bf16 = 0.62};
// Cursor: 6,212 GB/s, scales in place; grouped 2,650 TFLOP/s where the page says 2,380 for the same shape; fprop 0.43
// ms against wgrad 0.65 ms [1].
constexpr KernelForm kFused{
    .rows = 6212.21 / kB200, .columns = 6212.21 / kB200, .grouped = 2650.0 / 2380, .wgrad = 0.43 / 0.65};
// MegaBlocks (portable block-sparse kernels): the rate that makes the B200 bf16 forward of [1] table 5 come out. A
// direct port port to B200 uses the same instructions and is held to the same rate.
const KernelForm kMegablocks{.most = 563 * teraflop_per_second};

}  // namespace

const KernelForm& kernel_form(Kernels kernels) {
  switch (kernels) {
    case Kernels::te:
      return kTe;
    case Kernels::torchao:
      return kTorchao;
    case Kernels::fused:
      return kFused;
    case Kernels::megablocks:
      return kMegablocks;
  }
  return kTe;
}

double rescale_ratio(FlopsPerSecond tensor, FlopsPerSecond vector, double block) { return tensor / (vector * block); }

bool has_block_scaled_path(const Gpu& gpu) {
  return gpu.architecture.starts_with("sm_1") || gpu.architecture == "gfx950";
}

double rescaled(const Gpu& gpu, DType operands, double block) {
  if (block <= 0) return 1;
  const double r = rescale_ratio(gpu.dense_peak.of(operands)->value, gpu.vector_fp32.value, block);
  return has_block_scaled_path(gpu) ? 1 + r : std::max(1.0, r);
}

double padded_rows(std::span<const double> rows, double tile) {
  double sum = 0;
  for (const double count : rows) sum += std::ceil(count / tile - 1e-9) * tile;
  return sum;
}

OpCost cost(const Quantize& pass, const Machine& machine) {
  const KernelForm& form = kernel_form(pass.kernels);
  const MemoryFit& fit = machine.calibration.memory;
  const bool bound = fit.source >= Source::bound;
  const double share = bound ? fit.memory : pass.columns ? form.columns : form.rows;
  const Bytes moved = pass.elements * pass.read * byte + pass.copies * bytes(pass.to, pass.elements);
  const Seconds time = pass.launches * fit.launch + moved / (share * machine.gpu.hbm_bandwidth.value);
  return {.bytes = moved, .time = time, .spread = fit.spread.at(time), .bound_by = "HBM", .source = fit.source};
}

OpCost cost(const Relayout& pass, const Machine& machine) {
  const KernelForm& form = kernel_form(pass.kernels);
  const MemoryFit& fit = machine.calibration.memory;
  const bool bound = fit.source >= Source::bound;
  const Bytes scales = bytes(pass.type, pass.elements) - pass.elements * std::floor(bits(pass.type) / 4) / 2 * byte;
  const Bytes moved = 2 * scales;
  Seconds time = fit.launch + moved / ((bound ? fit.memory : form.relayout) * machine.gpu.hbm_bandwidth.value);
  if (!bound) time += max(Seconds{}, form.relayout_launch - fit.launch);
  if (!bound && pass.along_groups && form.relayout_groups) time = *form.relayout_groups;
  return {.bytes = moved, .time = time, .spread = fit.spread.at(time), .bound_by = "HBM", .source = fit.source};
}

namespace {

bool block_scaled(DType type) { return type == DType::mxfp8 || type == DType::mxfp4; }

template <class Product>
GemmFit common(const Product& gemm, const Machine& machine) {
  GemmFit fit = machine.calibration.gemm(gemm.operands);
  if (gemm.operands == DType::mxfp8 && machine.calibration.gemm_mxfp8.source != Source::bound) return fit;  // scales and all
  const bool bound = fit.source >= Source::bound;
  if (!bound && gemm.operands == DType::mxfp8 && has_block_scaled_path(machine.gpu)) {
    fit.tensor *= kBlockScaled;  // priced by the page of per-tensor FP8
    fit.source = Source::extrapolated;
  }
  // 1x128 blocks are always rescaled in software; pages of such kernels hold it already.
  double block = gemm.software_block;
  if (block <= 0 && bound && gemm.operands == DType::fp8_block) block = 128;
  fit.tensor /= rescaled(machine.gpu, gemm.operands, block);
  // One instruction per 32 of k leaves the pipeline empty between: no faster than bf16.
  if (block > 0 && block <= 32 && machine.gpu.dense_peak.bf16) {
    const double bf16 = machine.calibration.gemm_bf16.tensor *
                        (machine.gpu.dense_peak.bf16->value / machine.gpu.dense_peak.of(gemm.operands)->value);
    fit.tensor = std::min(fit.tensor, bf16);
  }
  return fit;
}

}  // namespace

GemmFit adapted(const Gemm& gemm, const Machine& machine) { return common(gemm, machine); }

GemmFit adapted(const GroupedGemm& gemm, const Machine& machine) {
  GemmFit fit = common(gemm, machine);
  if (fit.source >= Source::bound) return fit;
  const KernelForm& form = kernel_form(gemm.kernels);
  if (block_scaled(gemm.operands)) fit.tensor *= form.grouped * (gemm.wgrad ? form.wgrad : 1);
  if (gemm.operands == DType::bf16) fit.tensor *= form.grouped_bf16;
  if (gemm.operands == DType::bf16 && form.most) {
    // The rate is one reached on large products: throttled clocks, epilogue and waves are in it.
    const FlopsPerSecond peak = machine.gpu.dense_peak.of(gemm.operands)->value;
    fit.tensor = *form.most / peak;
    fit.throttle = 0;
    fit.epilogue = {};
    fit.k_step = {};
    fit.leak = 0;
  }
  return fit;
}

}  // namespace moeline
