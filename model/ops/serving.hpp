// What does one rank do in one iteration of a serving stack? The op list of a decoder layer, and of what surrounds them.
//
// An iteration takes new tokens: one (or a verified draft's) of every decoding sequence, and whole prompts or chunks of
// them. Products see all of them together, attention each kind by its own kernel:
//   norm, qkv, [rotary + cache write], attention, output, all-reduce, norm, router, experts, shared expert, all-reduce
// Latent attention is absorbed for decoding (queries meet the latent row) and expanded for prompts. A linear-attention
// layer reads and writes its state. Experts are one fused layer; docs/theory/serving.md.
#pragma once

#include "memory/serving.hpp"
#include "ops/step.hpp"

namespace moeline {

// New tokens of one attention group of a worker; the other groups have as many to decode.
struct Iteration {
  double decoding = 0;     // sequences
  double context = 0;      // tokens each has cached
  double tokens_each = 1;  // new ones of each; more than one: a draft to verify
  double distinct = 1;     // share of them that choose experts by themselves; the rest shares those of its sequence
  double prompts = 0;      // sequences whose prompt, or a chunk of it, is computed
  double prompt = 0;       // tokens of each
  double before = 0;       // tokens of it that are cached already
  double even = 1;         // prompts of the mean attention group over those of this one, the fullest
  double finishing = 0;    // prompts whose first token comes out of this iteration

  double tokens() const { return decoding * tokens_each + prompts * prompt; }
  double sampled() const { return decoding * tokens_each + finishing; }
  double tokens_of_mean() const { return decoding * tokens_each + prompts * prompt * even; }
  bool prefills() const { return prompts * prompt > 0; }
};

Step served_layer(const ServingContext& context, const LayerKind& layer, const Iteration& iteration);
// Embedding, final norm, head and sampling.
Step served_ends(const ServingContext& context, const Iteration& iteration);

// What `tokens` of the whole worker put on the hottest rank's experts.
MoeLoad served_load(const MoeFfn& moe, const Routing& routing, const ServeLayout& layout, double tokens, double distinct = 1);

}  // namespace moeline
