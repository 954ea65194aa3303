// One optimiser step on a GPU cluster, or many of them: what steps of one model on one machine share is priced once.
//
//   parts (tp, cp, ep, etp, micro-batch, recompute, recipe)  ->  + cut (pp, vpp)  ->  + batch, ZeRO  =  step
// A memo, not a model: every answer equals that of a fresh object. Memory is bounded; when full, it forgets.
#pragma once

#include <memory>
#include <optional>
#include <variant>
#include <vector>

#include "plan/evaluate.hpp"
#include "plan/training/pipeline.hpp"

namespace moeline {

// What steps of one model on one machine differ in. The cut is resolved, the recipe legal on the device.
struct StepQuestion {
  const Recipe& recipe;
  const Routing& routing;
  const Parallelism& parallelism;
  const TrainWorkload& train;
};

// A step with what it was computed from, for those who draw it.
struct PricedStep {
  TrainEvaluation answer;
  PipelineProblem pipeline;
  std::vector<StageContent> chunks;  // of the model, in its order
};

// Why layouts are out of memory whatever their stages hold.
inline constexpr std::string_view kStatesAlone = "out of memory by weights, gradients and optimiser alone";

using StepAnswer = std::variant<TrainEvaluation, Infeasible>;

// For one thread.
class TrainingSteps {
 public:
  // All three outlive this and do not change. `free`: breakdown groups that are taken to cost no time.
  TrainingSteps(const Cluster& cluster, const ModelSpec& model, const Calibration& calibration,
                std::vector<std::string_view> free = {});
  ~TrainingSteps();
  TrainingSteps(const TrainingSteps&) = delete;
  TrainingSteps& operator=(const TrainingSteps&) = delete;

  // Recomputes as little as fits, where the question leaves that open.
  StepAnswer evaluate(const StepQuestion& question);
  // For a search: infeasible in brief. None: it runs, and its busiest stage alone takes longer than `most`. Stages are not looked at where
  // `least_memory` does not fit.
  std::optional<StepAnswer> evaluate(const StepQuestion& question, Seconds most);
  std::variant<PricedStep, Infeasible> priced(const StepQuestion& question);

  // Below every stage that binds: weights, gradients and optimiser states of the model over its stages.
  Bytes least_memory(const StepQuestion& question);

 private:
  struct Shared;
  struct Memo;
  StepAnswer fitting(const StepQuestion& question, PricedStep* drawn);
  Shared& shared(const StepQuestion& question);
  Bytes least_memory(const StepQuestion& question, const Shared& known) const;
  std::optional<StepAnswer> step(const StepQuestion& question, std::optional<Seconds> most, PricedStep* drawn);

  const Cluster& cluster_;
  const ModelSpec& model_;
  Machine machine_;
  std::unique_ptr<Memo> memo_;
};

// Checks and resolves the scenario's cut and recipe, then asks; `steps` belongs to its cluster, model and calibration.
StepAnswer evaluate_step(const Scenario& scenario, TrainingSteps& steps);

}  // namespace moeline
