// What is a pipeline stage a sum of, in time and row by row? Layers of each kind, embedding, head and MTP modules, which cost
// the same in every stage.
#pragma once

#include <vector>

#include "memory/footprint.hpp"
#include "plan/training/pass_prices.hpp"

namespace moeline {

template <class Part>
struct PartsOf {
  std::vector<Part> kinds;  // by ModelSpec::kinds
  std::vector<Part> plain;  // the same without recomputation, where it does not reach all layers
  Part embedding, head;
  Part mtp;                 // without its layer and its head
};

// Of a part, a chunk or a stage.
struct Passes {
  PassTimes forward, backward;
};
using StepParts = PartsOf<Passes>;

StepParts step_parts(PassPrices& prices, const PartsKey& key, Detail detail);

// visit(part, times): what a stage or chunk is a sum of.
template <class Part, class Visit>
void for_parts(const PartsOf<Part>& parts, const ModelSpec& model, const StageContent& stage, Visit visit) {
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

// Of each stage or chunk.
std::vector<Passes> sums_of(const StepParts& parts, const ModelSpec& model, const std::vector<StageContent>& list);

// Block recomputation takes the first layers of every chunk.
double recomputed_share(const TrainWorkload& train, const StageContent& chunk);

// Sums rows of the same name and phase.
class StageRows {
 public:
  StageRows(PassPrices& prices, const PartsKey& key);
  // All that a stage computes of a micro-batch: forward, then backward.
  Breakdown of(const StageContent& stage) const;

 private:
  struct Placed {
    std::shared_ptr<const PricedPass> pass;
    std::vector<std::size_t> places;  // of its rows, in the names of its direction
  };
  struct Both {
    Placed forward, backward;
  };
  void add_to(Breakdown& rows, const StageContent& stage, bool forward) const;

  const ModelSpec& model_;
  Breakdown forward_names_, backward_names_;  // rows that sums have, at no cost
  PartsOf<Both> parts_;
};

}  // namespace moeline
