// What must one device hold, tensor by tensor, and does it fit?
//
//   weights      bf16, or the quantised copies a recipe keeps between optimiser steps, or both
//   gradients    the accumulation buffer
//   optimizer    fp32 master weights and two moments, sharded over data-parallel ranks from ZeRO 1 on
//   activations  what backward needs, per micro-batch in flight on the stage, less what is recomputed or offloaded
//   wgrad_stubs  bf16 tensors the size of one layer's weights, which the framework hands to autograd in place of gradients
//                that its kernels have already added to the buffer
//   workspace    the largest set that lives only within one op: logits, rows in flight through the experts, what is
//                recomputed, or weights gathered under ZeRO 3
// Experts are divided by ep x etp, attention and dense FFN by tp; router and norms are replicated. CUDA context, NCCL and
// allocator slack are not counted. Tensor list after Megatron-Core's layers; docs/theory/memory.md.
#pragma once

#include <string_view>
#include <vector>

#include "memory/kind_counts.hpp"
#include "routing/load.hpp"
#include "spec/llm.hpp"
#include "spec/parallelism.hpp"
#include "spec/recipe.hpp"
#include "spec/routing.hpp"
#include "spec/workload.hpp"

namespace moeline {

// What one pipeline stage holds.
struct StageContent {
  KindCounts layers_of_kind;
  int mtp_modules = 0;
  bool embedding = false, head = false;
  double micro_batches = 1;         // whole-stage activations alive at the peak
  double recomputed = 1;            // share of the layers that recomputation applies to
  std::int64_t layers() const;
};

struct MemoryPart {
  std::string_view name;
  Bytes bytes;
};

struct Footprint {
  std::vector<MemoryPart> parts;
  Bytes total() const;
  Bytes of(std::string_view name) const;
};

// One tensor that backward reads, per layer and micro-batch on one device.
struct SavedTensor {
  std::string_view name;
  Bytes bytes;
};

// Model parameters one device of a stage holds, split by the group that reduces their gradients.
struct LocalParameters {
  double dense = 0;      // attention, dense FFN, shared expert, router, norms, embedding, head
  double expert = 0;
  double quantised = 0;  // of both, those whose GEMM runs in a quantised format
};

struct MemoryContext {
  const ModelSpec& model;
  const Parallelism& parallelism;
  const Recipe& recipe;
  const Routing& routing;
  const TrainWorkload& train;
};

// What one part of the model adds to the stage that holds it; the same for every pp, dp and ZeRO stage.
struct PartMemory {
  LocalParameters parameters;
  LocalParameters adapters;  // trained in their place, where there are any
  Bytes activations;   // of one micro-batch, kept from forward to backward
  Bytes recomputed;    // of one micro-batch, made again in backward
  Bytes workspace;
  double stub = 0;     // parameters of its distinct weights, once each
};

// The parts that stages are sums of.
struct ModelMemory {
  std::vector<PartMemory> kinds;  // one layer, by ModelSpec::kinds
  PartMemory mtp;                 // one module, its layer included, its embedding not
  PartMemory head;                // final norm and logits, without the table
  double table = 0;               // parameters of the embedding, and of the output table where it is another
};

ModelMemory model_memory(const MemoryContext& context);
LocalParameters local_parameters(const MemoryContext& context, const ModelMemory& parts, const StageContent& stage);
// Those that have gradients and optimiser states: all, or adapters alone.
LocalParameters trained_parameters(const MemoryContext& context, const ModelMemory& parts, const StageContent& stage);
Footprint footprint(const MemoryContext& context, const ModelMemory& parts, const StageContent& stage);
// The footprint's total alone, for those who ask of many stages: what all of one content need, and what each micro-batch adds
// that they keep.
struct Requirement {
  Bytes fixed, kept;
  Bytes of(double micro_batches) const { return fixed + micro_batches * kept; }
};
Requirement requirement(const MemoryContext& context, const ModelMemory& parts, const StageContent& stage);
// Of it weights, gradients and optimizer: what is there before the first activation.
Bytes states(const MemoryContext& context, const ModelMemory& parts, const StageContent& stage);

std::vector<SavedTensor> saved_tensors(const MemoryContext& context, const LayerKind& layer);
// Master weight and moments; Muon keeps one moment of the matrices, and two of embedding and head as Adam does.
Bytes optimizer_bytes_per_parameter(const TrainWorkload& train);

inline LocalParameters local_parameters(const MemoryContext& context, const StageContent& stage) {
  return local_parameters(context, model_memory(context), stage);
}
inline Footprint footprint(const MemoryContext& context, const StageContent& stage) {
  return footprint(context, model_memory(context), stage);
}

}  // namespace moeline
