// The main question: how long does this scenario take, what does it hold in memory, and where does the time go?
//
//   op list -> cost -> stage times -> pipeline -> + gradient reduction, optimiser, parameter gather = step
// The breakdown is that of the stage that is busiest; what it waits for is the pipeline bubble, so exposed times add up
// to the step. A scenario that does not fit or cannot be cut is Infeasible and has no time.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "error.hpp"
#include "gpu/cost_memo.hpp"
#include "memory/footprint.hpp"
#include "plan/experts_backends.hpp"
#include "plan/serving/answer.hpp"
#include "plan/training/recomputation.hpp"
#include "plan/wafer/answer.hpp"
#include "spec/scenario.hpp"

namespace moeline {

struct Warning {
  std::string code, message, advice;
};

// Which layers went where; shared by all steps that are cut alike.
struct StageCut {
  std::string layout;                          // as Megatron writes it; empty without a pipeline
  std::vector<KindCounts> stage_layers;
};

struct TrainEvaluation {
  Range step;
  double tokens_per_second = 0, tokens_per_second_per_device = 0;
  FlopsPerSecond model_rate;          // per device, Megatron's model FLOPs
  double mfu = 0;                     // model_rate over the dense peak of `mfu_format`
  std::string_view mfu_format;
  Footprint memory;                   // of the stage that binds
  std::int64_t memory_stage = 0;
  std::vector<Bytes> stage_memory;    // required, by pipeline stage
  Bytes memory_available;
  Breakdown breakdown;
  std::int64_t busiest_stage = 0, micro_batches = 1;
  Parallelism parallelism;            // dp resolved
  std::optional<Recomputation> recomputation;  // that made the step fit, where the workload left it open
  double tokens_per_second_per_kilowatt = 0;
  Watts power_per_device;                        // all-in where published, else the device's cap
  Seconds communication, exposed_communication;  // network of a GPU, streams of a wafer
  std::optional<WaferAnswer> wafer;              // of wafers only
  std::shared_ptr<const StageCut> cut;
};

// The workload as it was answered.
inline TrainWorkload answered(const TrainWorkload& asked, const TrainEvaluation& answer) {
  return answer.recomputation ? with(asked, *answer.recomputation) : asked;
}

// What a question about one layer looks at: the first MoE layer, else the first; attention sees at most its tokens.
struct LayerQuestion {
  TrainWorkload train;
  double sequences = 1;
  const LayerKind* kind = nullptr;  // of the scenario's model
};
LayerQuestion layer_question(const Scenario& scenario, const LayerWorkload& workload);

struct LayerRow {
  std::string_view name, group, phase;
  Lane lane = Lane::compute;
  OpCost cost;
  Seconds exposed;
};

struct LayerEvaluation {
  Seconds forward, backward;
  std::vector<LayerRow> rows;
  std::string kind;                   // "MoE layer", "dense layer"
  std::optional<BackendsAnswer> backends{};  // of Hugging Face, where asked for
  std::optional<WaferAnswer> wafer{};  // of wafers only
};

struct Evaluation {
  std::variant<TrainEvaluation, LayerEvaluation, ServeEvaluation> answer;
  Source source = Source::bound;      // the weakest that matters
  std::vector<std::string> assumptions;
  std::vector<Warning> warnings;
};

using Outcome = std::variant<Evaluation, Infeasible>;

// Names in the answer are views: of static text, and of `scenario`'s tier names, so the scenario must outlive it.
// `free`: breakdown groups that are taken to cost no time, for what-if questions. `products`: prices of a layer's products on this
// device with this calibration, remembered from question to question.
Outcome evaluate(const Scenario& scenario, const Calibration& calibration, std::vector<std::string_view> free = {},
                 CostMemo* memo = nullptr);

}  // namespace moeline
