// What does everything that repeats within a training step cost? Each kind of layer, embedding, head and MTP module,
// forward and backward: one micro-batch on one device.
//
// A stage is a sum of parts. Steps that differ in stages, chunks, batch or sharding have the same parts, so that asking
// about many layouts prices few of them.
#pragma once

#include <array>
#include <memory>
#include <string_view>
#include <unordered_map>
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
};

struct PricedPart {
  struct Placed {
    std::shared_ptr<const PricedPass> pass;
    std::vector<std::size_t> places;  // of its rows, in StepParts::names
  };
  Placed forward, backward;
  const Placed& placed(bool is_forward) const { return is_forward ? forward : backward; }
};

struct StepParts {
  std::vector<PricedPart> kinds;  // by ModelSpec::kinds
  std::vector<PricedPart> plain;  // the same without recomputation, where it does not reach all layers
  PricedPart embedding, head;
  PricedPart mtp;                 // without its layer and its head
  Breakdown forward_names, backward_names;  // rows that sums have, at no cost

  const Breakdown& names(bool is_forward) const { return is_forward ? forward_names : backward_names; }
};

// What parts depend on: the question, less what only their sums depend on.
struct PartsKey {
  Recipe recipe;
  Routing routing;
  Parallelism parallelism;
  TrainWorkload train;

  PartsKey(const Recipe& recipe, const Routing& routing, const Parallelism& parallelism, const TrainWorkload& train);
  bool operator==(const PartsKey&) const = default;
};
struct PartsHash {
  std::size_t operator()(const PartsKey& key) const;
};

// Nothing within the step waits for it: a product that adds to the gradient buffer, or the embedding's rows that do.
bool makes_weight_gradient(const Op& op);

// For one thread, a model and a machine, which outlive it. Remembers passes by what each depends on: forward does not ask
// what is computed again, nor what has no experts how those are cut.
class PassPrices {
 public:
  PassPrices(const ModelSpec& model, const Machine& machine) : model_(model), machine_(machine) {}
  StepParts parts(const PartsKey& key);

 private:
  enum Part { embedding = -1, head = -2, mtp = -3 };  // from 0 on: kinds of layers
  struct PassKey {
    PartsKey asked;
    int part;
    bool forward;
    bool operator==(const PassKey&) const = default;
  };
  struct PassHash {
    std::size_t operator()(const PassKey& key) const;
  };

  std::shared_ptr<const PricedPass> pass(const PartsKey& key, int part, bool forward);
  PricedPass priced(const PassKey& key);
  bool has_experts(int part) const;

  static constexpr std::size_t kMost = 512;  // some 2 kB each
  const ModelSpec& model_;
  const Machine& machine_;
  Step memory_;
  std::unordered_map<PassKey, std::shared_ptr<const PricedPass>, PassHash> known_;
};

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
