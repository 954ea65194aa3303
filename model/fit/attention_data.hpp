// Measured attention as families: operation "prefill", "mla_prefill", "decode", "mla_decode", "attention_backward".
//
// ai-dynamo/aiconfigurator: one layer through the framework, replayed from a CUDA graph. Prefill includes rotary, cache
// write and fp8 conversion; nothing is flushed, so decode finds a small cache in L2 (`cold` is false here, never in a
// prediction). MooreThreads/SimuMax, sdp_fwd and sdp_bwd: training kernels without either; both directions make one
// family, because backward is fitted as a share of the forward rate. Groups are head configurations.
#pragma once

#include "fit/csv.hpp"
#include "fit/family.hpp"
#include "fit/family_builder.hpp"
#include "gpu/attention.hpp"

namespace moeline {

bool is_attention_csv(const Csv& csv);           // aiconfigurator, GQA or latent
bool is_training_attention_csv(const Csv& csv);  // SimuMax
std::vector<FamilyData> attention_families(const Csv& csv);
std::vector<FamilyData> training_attention_families(const Csv& csv);

// What other readers of attention share: rows, parameters and the predictors of both phases.
struct PrefillRow {
  AttentionCore core;
  PrefillContext context;
};
struct DecodeKernels {
  bool latent = false;
  bool reread = false;  // Blackwell's latent kernel below 64 heads
  bool vector = false;  // TensorRT-LLM's kernels without tensor cores
  bool capped = false;     // FlashInfer's, which split a cache into a limited number of chunks
  bool blackwell = false;  // which splits at twice its step of 256 tokens
};
std::vector<Parameter> prefill_parameters();
std::vector<Parameter> decode_parameters(DecodeKernels kernels);
std::vector<FamilyData> attention_families(FamilyBuilder<PrefillRow>& prefill, FamilyBuilder<DecodeShape>& decode);

// Parameter values in the order of the family's parameters -> the structures gpu/attention predicts with.
PrefillFit prefill_fit(const FamilyKey& key, const std::vector<double>& values);
DecodeFit decode_fit(const FamilyKey& key, const std::vector<double>& values);

}  // namespace moeline
