// How far do real kernels stay below the structural bound? The parameters of the cost equations.
//
// Every default is neutral: with a default Calibration the equations are datasheet bounds (source: bound). A fit
// replaces the values family by family; meanings and units are those of the equations in gpu/ and net/.
#pragma once

#include <memory>

#include "cost/attention_fit.hpp"
#include "cost/network_fit.hpp"
#include "cost/op_cost.hpp"
#include "cost/surface.hpp"
#include "spec/dtype.hpp"
#include "units.hpp"

namespace moeline {

// Which tile shapes a kernel library ships.
enum class TileSet { fine, cutlass, deepgemm };

// gpu/gemm: t = launch + max(X, Y) + leak min(X, Y) + split
struct GemmFit {
  Seconds launch;
  double tensor = 1;        // of the dense peak, inside the main loop, at the burst clock
  double throttle = 0;      // share of that lost once the power limit is reached
  double memory = 1;        // of HBM bandwidth
  SecondsPerByte load;      // one multiprocessor reading operands
  Seconds k_step;           // latency of one 128-byte step along k
  SecondsPerByte epilogue;  // one multiprocessor writing its tile
  Seconds split;            // fixed cost of a split along k
  double leak = 0;          // part of the smaller bound that is not hidden
  Seconds expert;           // grouped products: fixed cost of every expert that has rows
  double resident = 0;      // share of L2 that keeps repeated operands; benchmarks only
  TileSet tiles = TileSet::fine;
  std::shared_ptr<const Surface> surface;  // over log2 of m, n, k; dense products only
  Spread spread;
  Source source = Source::bound;
};

// Memory-bound kernels: t = launch + bytes / (memory BW)
struct MemoryFit {
  Seconds launch;
  double memory = 1;
  Spread spread;
  Source source = Source::bound;
};

// Chunked linear attention: t = launch + max(flops / (tensor F), bytes / (memory BW))
struct ScanFit {
  Seconds launch;
  double tensor = 1, memory = 1;
  Spread spread;
  Source source = Source::bound;
};

// The host issues `op` by `op` where no CUDA graph replays them: framework, autograd and launch of the few kernels that
// one op of the list stands for.
struct HostFit {
  Seconds op;
  double spread = 0.2;
  Source source = Source::assumed;
};

// Links without a fit of their own: t = launch + hops x latency + bytes / (link BW), per tier
struct LinkFit {
  Seconds launch;
  double link = 1;
  Spread spread;
  Source source = Source::bound;
};

// DeepEP has parameters for each direction, inside one node and across nodes.
struct DeepEpFits {
  DeepEpFit dispatch, combine, nodes_dispatch, nodes_combine;
};
struct MnnvlFits {
  MnnvlFit dispatch, combine;
};

struct ServingFits;

struct Calibration {
  GemmFit gemm_bf16, gemm_fp8, gemm_fp8_block, gemm_fp4;
  GemmFit gemm_mxfp8;  // measured as such, its block scales in it; neutral where per-tensor FP8 has to stand for it
  GemmFit grouped_bf16, grouped_fp8_block, grouped_mxfp8;  // grouped products measured as such
  MemoryFit memory;
  HostFit host;
  PrefillFit attention, latent_attention;
  ScanFit scan;
  LinkFit link;
  NcclFit nccl;
  DeepEpFits deepep;
  MnnvlFits mnnvl;
  std::shared_ptr<const ServingFits> serving{};  // of questions about serving

  const GemmFit& gemm(DType operands) const;
  // nullptr: not measured in that format, so that the dense family has to price them.
  const GemmFit* grouped(DType operands) const;
};

}  // namespace moeline
