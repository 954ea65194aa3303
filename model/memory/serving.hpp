// What does a serving worker hold on one device, and how many requests does that leave room for?
//
//   requests = (fraction x memory - weights - workspace) / cache of one request, times attention groups and stages
// Weights: attention and dense FFN tp ways, experts ep x etp ways (with EPLB's spare slots), norms and routers whole.
// Cache per token: keys and values of every layer; the latent row alone (MLA), whole on every rank; at most a window. Linear
// attention keeps a state per request. Pages round a request up by half a page on average.
#pragma once

#include "memory/footprint.hpp"
#include "spec/serving.hpp"

namespace moeline {

// Formats as they are multiplied on the device at hand: weights may be narrower than what tensor cores take.
struct ServedFormats {
  DType linear = DType::bf16, latent = DType::bf16, head = DType::bf16;  // latent: projections into latent attention
  DType expert_weight = DType::bf16, expert = DType::bf16;
  DType cache = DType::bf16, attention = DType::bf16;                    // attention: of its products over the cache
};

struct ServingContext {
  const ModelSpec& model;
  const ServeLayout& layout;
  const ServedFormats& formats;
  const Recipe& recipe;
  const Routing& routing;
  Stack stack = Stack::vllm;
  ExpertTransport decode_transport = ExpertTransport::allreduce, prefill_transport = ExpertTransport::allreduce;
};

Bytes served_weights(const ServingContext& context);
// Of one request with so many tokens, on one device of the stage-average.
Bytes served_cache(const ServingContext& context, double tokens, double page);
// Activations of the largest iteration, logits, graphs and libraries.
Bytes served_workspace(const ServingContext& context, double tokens, double sampled);

}  // namespace moeline
