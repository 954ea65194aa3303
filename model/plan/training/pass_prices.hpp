// What does one pass through a part of the model cost: a layer of each kind, embedding, head or MTP module, forward or
// backward, one micro-batch on one device?
//
// Steps that differ in stages, batch or sharding have the same passes, and most passes depend on less than their step does:
// forward does not ask what is computed again, nor what has no experts how those are cut. Each is priced once.
#pragma once

#include <array>
#include <memory>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "ops/decoder.hpp"
#include "plan/step_cost.hpp"
#include "plan/training/pass_times.hpp"

namespace moeline {

// Breakdown groups that 1F1B overlap hides behind another micro-batch.
inline constexpr std::array<std::string_view, 2> kExchanges{"dispatch", "combine"};

// What passes depend on: the question, less what only their sums depend on.
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

// Parts from 0 on are kinds of layers, as ModelSpec::kinds has them. An MTP module is without its layer and its head.
inline constexpr int kEmbedding = -1, kHead = -2, kMtp = -3;

// Rows cost more than times, and layouts that a search passes over have no use for them.
enum class Detail { times, rows };

struct PricedPass {
  PassTimes times;
  std::vector<BreakdownRow> rows;  // their exposed times add up to times.time
  Detail detail = Detail::times;
};

// Nothing within the step waits for it: a product that adds to the gradient buffer, or the embedding's rows that do.
bool makes_weight_gradient(const Op& op);

// For one thread, a model and a machine, which outlive it. Bounded; when full, it forgets.
class PassPrices {
 public:
  PassPrices(const ModelSpec& model, const Machine& machine) : model_(model), machine_(machine) {}
  std::shared_ptr<const PricedPass> pass(const PartsKey& asked, int part, bool forward, Detail detail);
  const ModelSpec& model() const { return model_; }
  const Machine& machine() const { return machine_; }

 private:
  struct PassKey {
    PartsKey asked;
    int part;
    bool forward;
    bool operator==(const PassKey&) const = default;
  };
  struct PassHash {
    std::size_t operator()(const PassKey& key) const;
  };

  PricedPass priced(const PassKey& key, Detail detail);
  Step ops(const PassKey& key, const DecoderContext& context);

  static constexpr std::size_t kMost = 512;  // some 2 kB each
  const ModelSpec& model_;
  const Machine& machine_;
  Step memory_;                              // for ops, again and again
  StepCost cost_memory_;                     // and for what they cost
  std::unordered_map<PassKey, std::shared_ptr<const PricedPass>, PassHash> known_;
};

}  // namespace moeline
