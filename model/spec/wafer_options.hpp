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
  double efficiency = 0.5;       // achieved share of the dense peak
  double line_efficiency = 1;    // achieved share of the streams on and off the wafer
  Seconds layer_overhead{};      // fixed, per layer and pass
  Seconds tile_overhead{};       // fixed, per layer, pass and attention tile
};

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
};

WaferOptions read_wafer_options(ObjectReader reader);
Json to_json(const WaferOptions& options);

std::string_view name(WaferMode what);
std::string_view name(KeepInputs what);
std::string_view name(Scores what);

}  // namespace moeline
