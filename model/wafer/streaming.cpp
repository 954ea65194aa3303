#include "wafer/streaming.hpp"

#include <cmath>

namespace moeline {

std::string_view PassTerms::bound_by() const {
  if (compute >= stream()) return "cores";
  return in() >= out() ? "stream in" : "stream out";
}

WaferLines wafer_lines(const Cluster& cluster, const WaferConduct& conduct) {
  const Wafer& wafer = std::get<Wafer>(cluster.device);
  const Tier& tree = cluster.fabric.front();
  const BytesPerSecond branch = device_bandwidth(tree);
  WaferLines lines;
  lines.input = conduct.line_efficiency * min(wafer.input_bandwidth.value, branch);
  lines.output = conduct.line_efficiency * min(wafer.output_bandwidth.value, branch);
  lines.hop = tree.latency.value;
  lines.depth = std::ceil(std::log2(static_cast<double>(cluster.devices)));
  return lines;
}

PassTerms pass_terms(const PassLoad& load, const WaferLines& lines, const WaferConduct& conduct) {
  return {.weights_in = load.weights_in / lines.input,
          .inputs_in = load.inputs_in / lines.input,
          .inputs_out = load.inputs_out / lines.output,
          .gradients_out = load.gradients_out / lines.output,
          .compute = load.compute,
          .overhead = load.layers * (conduct.layer_overhead + load.tiles * conduct.tile_overhead)};
}

OuterTerms outer_terms(Bytes first, Bytes last, Seconds backward, double parameters, const WaferLines& lines,
                       const std::optional<ExternalMemory>& memory) {
  OuterTerms terms;
  terms.fill = first / lines.input + lines.latency();
  terms.drain = last / lines.output + lines.latency();
  if (memory && memory->optimizer_rate) {
    terms.optimizer = max(Seconds{}, parameters / memory->optimizer_rate->value * second - backward);
  }
  return terms;
}

}  // namespace moeline
