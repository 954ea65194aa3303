// How long does one pass over one layer take when its weights are not on the wafer?
//
//   in        ▒weights▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒ inputs back ▒
//   out       ▒gradients▒▒▒▒▒▒                            t = max(in, out, compute) + t_layer + G t_tile
//   compute   ███████████████████████████
// The three run side by side: the next layer's weights arrive while this one computes. What the maximum hides is what
// the breakdown shows as hidden. Every system of a cluster sees the same stream (the tree copies weights on the way out
// and adds gradients on the way in), so t does not depend on how many there are; once a step the tree's depth is felt:
//   t_fill  = first layer in + depth x hop                  nothing to compute yet
//   t_drain = last gradient out + depth x hop + optimiser beyond what backward covered
// Execution order published (weight streaming white papers, Model Zoo documentation); the times are ours.
#pragma once

#include <cstdint>
#include <string_view>

#include "spec/cluster.hpp"
#include "spec/wafer_options.hpp"

namespace moeline {

// What a pass over a layer (or the embedding, the head) asks for.
struct PassLoad {
  Bytes weights_in, inputs_in, inputs_out, gradients_out;
  Seconds compute;
  double tiles = 1;   // attention tiles; 0 where there is no attention
  double layers = 1;  // 0 for embedding and head, which have no layer overhead
};

// The same as times; what is explained is what was computed.
struct PassTerms {
  Seconds weights_in, inputs_in, inputs_out, gradients_out, compute, overhead;

  Seconds in() const { return weights_in + inputs_in; }
  Seconds out() const { return inputs_out + gradients_out; }
  Seconds stream() const { return max(in(), out()); }
  Seconds exposed_stream() const { return max(Seconds{}, stream() - compute); }
  Seconds time() const { return max(stream(), compute) + overhead; }
  std::string_view bound_by() const;
};

// The lines of one system in a cluster, and the depth of the tree above it.
struct WaferLines {
  BytesPerSecond input, output;
  Seconds hop;
  double depth = 0;

  Seconds latency() const { return depth * hop; }
};

WaferLines wafer_lines(const Cluster& cluster, const WaferConduct& conduct);
PassTerms pass_terms(const PassLoad& load, const WaferLines& lines, const WaferConduct& conduct);

// What happens once a step, outside all passes.
struct OuterTerms {
  Seconds fill, drain, optimizer;
};
// `first` are the bytes of the first thing streamed in, `last` of the last gradient out; `backward` is the time that
// hides the optimiser, `parameters` what it updates.
OuterTerms outer_terms(Bytes first, Bytes last, Seconds backward, double parameters, const WaferLines& lines,
                       const std::optional<ExternalMemory>& memory);

}  // namespace moeline
