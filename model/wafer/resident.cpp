#include "wafer/resident.hpp"

namespace moeline {

ResidentTerms resident_terms(Seconds micro_batch, double micro_batches, double layers) {
  return {.work = micro_batches * micro_batch, .fill = (layers - 1) * micro_batch};
}

Footprint resident_sram(const SramContext& c, const TrainWorkload& train) {
  const auto all = static_cast<double>(parameters(c.model).main);
  const auto layers = static_cast<double>(c.model.layers.size());
  const TilePlan one{.tile = 1, .sequences = 1, .keep = KeepInputs::offload, .scores = Scores::blockwise};
  const Footprint layer = sram(c, one);
  const Bytes input = bytes(DType::bf16, c.sequence * static_cast<double>(c.model.hidden));
  Footprint footprint;
  footprint.parts = {
      {"weights", bytes(c.weight, all)},
      {"gradients", bytes(c.gradient, all)},
      {"optimizer", all * optimizer_bytes_per_parameter(train)},
      {"kept_inputs", layers * layers * input},
      {"working_tensors",
       layers * (layer.of("working_tensors") + layer.of("expert_buffers") + layer.of("attention_tile"))},
  };
  return footprint;
}

}  // namespace moeline
