// What does everything that repeats within a training step cost? Each kind of layer, embedding, head and MTP module,
// forward and backward: one micro-batch on one device.
//
// A stage is a sum of parts. Steps that differ in stages, chunks, batch or sharding have the same parts, so that asking
// about many layouts prices few of them.
#pragma once

#include <array>
#include <string_view>
#include <vector>

#include "memory/footprint.hpp"
#include "ops/decoder.hpp"
#include "plan/pass_times.hpp"
#include "plan/step_cost.hpp"

namespace moeline {

// Breakdown groups that 1F1B overlap hides behind another micro-batch.
inline constexpr std::array<std::string_view, 2> kExchanges{"dispatch", "combine"};

struct PricedPass {
  PassTimes times;
  std::vector<BreakdownRow> rows;
  std::vector<std::size_t> places;  // of the rows, in StepParts::names
};

struct PricedPart {
  PricedPass forward, backward;
  const PricedPass& pass(bool is_forward) const { return is_forward ? forward : backward; }
};

struct StepParts {
  std::vector<PricedPart> kinds;  // by ModelSpec::kinds
  std::vector<PricedPart> plain;  // the same without recomputation, where it does not reach all layers
  PricedPart embedding, head;
  PricedPart mtp;                 // without its layer and its head
  Breakdown forward_names, backward_names;  // rows that sums have, at no cost

  const Breakdown& names(bool is_forward) const { return is_forward ? forward_names : backward_names; }
};

// Nothing within the step waits for it: a product that adds to the gradient buffer, or the embedding's rows that do.
bool makes_weight_gradient(const Op& op);

StepParts step_parts(const DecoderContext& context, const Machine& machine);

// visit(part, times): what a stage or chunk is a sum of.
template <class Visit>
void for_parts(const StepParts& parts, const ModelSpec& model, const StageContent& stage, Visit visit) {
  for (std::size_t k = 0; k < stage.layers_of_kind.size(); ++k) {
    const double layers = stage.layers_of_kind[k], again = parts.plain.empty() ? layers : stage.recomputed * layers;
    if (again > 0) visit(parts.kinds[k], again);
    if (again < layers) visit(parts.plain[k], layers - again);
  }
  if (stage.embedding) visit(parts.embedding, 1);
  if (stage.mtp_modules > 0) {
    visit(parts.mtp, stage.mtp_modules);
    visit(parts.kinds[static_cast<std::size_t>(model.mtp_layers[0])], stage.mtp_modules);
    visit(parts.head, stage.mtp_modules);
  }
  if (stage.head) visit(parts.head, 1);
}

struct ChunkSum {
  PassTimes forward, backward;
};
ChunkSum chunk_sum(const StepParts& parts, const ModelSpec& model, const StageContent& chunk);

// Rows of one pass of a stage, `times` over.
Breakdown stage_rows(const StepParts& parts, const ModelSpec& model, const StageContent& stage, bool forward, double times);

}  // namespace moeline
