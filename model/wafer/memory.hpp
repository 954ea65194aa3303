// What must the SRAM of one wafer hold while it trains one layer at a time, and does it fit?
//
//   layer_weights       the largest layer, all E experts of it        published: one layer's weights must fit
//   layer_gradients     the largest matrix of it, on its way out
//   kept_inputs         inputs of layers until backward: T h per layer in SRAM; two layers' in flight when offloaded;
//                       with recompute those of every c-th layer and of one stretch of c, c = sqrt(L)
//   kept_internals      what backward needs inside layers, unless it is computed again
//   gradient_sum        all gradients in fp32, where micro-batches are accumulated on the wafer
//   working_tensors     residual, normalised copy, layer output, its gradient: 4 T h; router scores
//   expert_buffers      rows of one expert, forward and gradient: 2 (2h + 3f) T min(k/E, 1/16); a dense FFN, 16 slices:
//   2 (3f/16) T attention_tile      B (8 (queries, keys, values, output) S + n S^2 x 10)
// T = G B S tokens. Scores as a whole tile (published: B is set by attention's peak memory, quadratic in S): fp32
// scores and gradient, bf16 probabilities. Blockwise: no scores, one key-value group of heads at a time. The list is
// ours.
#pragma once

#include "memory/footprint.hpp"
#include "spec/llm.hpp"
#include "spec/wafer_options.hpp"

namespace moeline {

// How a micro-batch is cut: G tiles of B sequences, and where things wait. No field is automatic any more.
struct TilePlan {
  std::int64_t tile = 1;  // B
  double sequences = 1;   // of one micro-batch, at most G x B
  KeepInputs keep = KeepInputs::sram;
  Scores scores = Scores::blockwise;
  bool keep_internals = false;
  bool accumulate_on_wafer = false;

  double tiles() const;  // G
};

struct SramContext {
  const ModelSpec& model;
  double sequence = 4096;
  DType weight = DType::bf16;    // as streamed
  DType gradient = DType::bf16;  // as sent out
  double internal_bytes = 0;     // kept per token over all layers, beside layer inputs
};

Footprint sram(const SramContext& context, const TilePlan& plan);

// Bytes of layer inputs that leave the wafer in forward and return in backward, one layer of `plan`.
Bytes offloaded(const SramContext& context, const TilePlan& plan);
// Layers between two kept inputs when the others are computed again.
double recompute_stretch(double layers);

}  // namespace moeline
