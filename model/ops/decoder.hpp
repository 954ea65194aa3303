// What does one device do for one decoder layer and one micro-batch? The op list of forward and backward.
//
// forward:  norm, attention, norm, router, permute, dispatch, experts, combine, unpermute, shared expert
// backward: the same reversed, every product twice (dgrad, wgrad), parts that are recomputed first run again
// Attention is cut tp ways with sequence parallelism (norms and residuals see tokens/tp), cp cuts the sequence, experts
// are cut ep x etp ways. Shapes follow Megatron-Core; sources in docs/theory/step.md.
#pragma once

#include "ops/step.hpp"
#include "routing/load.hpp"
#include "spec/llm.hpp"
#include "spec/parallelism.hpp"
#include "spec/recipe.hpp"
#include "spec/workload.hpp"

namespace moeline {

// Everything the op list depends on, apart from the layer.
struct DecoderContext {
  const ModelSpec& model;
  const Parallelism& parallelism;
  const Recipe& recipe;
  const Routing& routing;
  double sequences = 1;          // of one micro-batch on one data-parallel rank
  double sequence = 4096;        // tokens each
  const TrainWorkload& train;    // recompute, overlap, transport, gradient dtype

  double tokens() const;         // of one tensor-parallel group: sequences x sequence / cp
  bool extra(ExtraPass pass) const { return train.extra_passes.contains(pass); }
  double shard_tokens() const;   // of one rank under sequence parallelism: tokens / tp
};

// `reused`: a list that is no longer needed, whose memory the new one takes.
Step layer_forward(const DecoderContext& context, const LayerKind& layer, Step reused = {});
Step layer_backward(const DecoderContext& context, const LayerKind& layer, Step reused = {});

Step embedding_forward(const DecoderContext& context);
Step embedding_backward(const DecoderContext& context);
Step head_forward(const DecoderContext& context);   // final norm, logits, cross entropy
Step head_backward(const DecoderContext& context);
// The extra of an MTP module beside its decoder layer: two norms and the projection of 2h to h.
Step mtp_forward(const DecoderContext& context);
Step mtp_backward(const DecoderContext& context);

// Products of forward and backward as published MFU counts them, per token: experts chosen only, causal attention at
// half, no recomputation, no router (Megatron-LM's num_floating_point_operations).
Flops model_flops_per_token(const ModelSpec& model, double sequence, std::int64_t mtp_layers);

}  // namespace moeline
