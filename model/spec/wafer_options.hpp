// How is a step run on a wafer? What `workload/wafer` says; GPUs take no notice of it.
//
//   weight streaming   one layer at a time on the whole wafer, its weights streamed in, its gradients streamed out
//   resident           all layers at once, for models that fit the SRAM (the vendor's pipelined mode)
//   batch tiling       attention on G tiles of B sequences, experts on all G x B of them
// The four constants of the machine's conduct are assumed, not measured: docs/theory/wafer.md says where they stand.
#pragma once

#include "spec/dtype.hpp"
#include "spec/reader.hpp"

namespace moeline {

enum class WaferMode { automatic, streaming, resident };
// Where the inputs of layers wait for backward.
enum class KeepInputs { automatic, sram, offload, recompute };
// Attention scores: a whole tile of them in SRAM, or one block at a time and never stored.
enum class Scores { automatic, materialised, blockwise };

// How far real execution stays behind the peaks.
struct WaferConduct {
  double efficiency = 0.5;     // achieved share of the dense peak
  double line_efficiency = 1;  // achieved share of the streams on and off the wafer
  Seconds layer_overhead{};    // fixed, per layer and pass
  Seconds tile_overhead{};     // fixed, per layer, pass and attention tile

  bool operator==(const WaferConduct&) const = default;
};

// The one set under which this model gives the batch-tiling figures published for a CS-2: 53 % lost to experts, 7,091
// tokens/s uniform and 49,335 tiled at top-1 (SC Workshops '25, doi 10.1145/3731599.3767407; rates read off its figure
// 3). Three constants and three figures: they are met by construction, to a few percent. reports/studies/batch-tiling.
inline constexpr WaferConduct kPublishedPair{
    .efficiency = 0.21, .line_efficiency = 1, .layer_overhead = 3200 * microsecond, .tile_overhead = 300 * microsecond};

struct WaferOptions {
  WaferMode mode = WaferMode::automatic;
  std::int64_t tiles = 0;            // G; 0: automatic
  std::int64_t attention_tile = 0;   // B, sequences; 0: as many as SRAM holds
  bool accumulate_on_wafer = false;  // gradients of all micro-batches summed in SRAM, or each sent out
  bool keep_internals = false;       // what backward needs inside a layer: kept, or computed again
  KeepInputs keep_inputs = KeepInputs::automatic;
  Scores scores = Scores::automatic;
  DType gradient_wire = DType::bf16;
  WaferConduct conduct{};

  bool operator==(const WaferOptions&) const = default;
};

WaferOptions read_wafer_options(ObjectReader reader);
Json to_json(const WaferOptions& options);

std::string_view name(WaferMode what);
std::string_view name(KeepInputs what);
std::string_view name(Scores what);

}  // namespace moeline
