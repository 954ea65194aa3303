// How long does one iteration of a serving worker take?
//
//   iteration = max( sum over layers of their ops, launches of an eager iteration ) + host
// With pp stages the worker's sequences are as many micro-batches; a token passes all of them, so an iteration is all
// layers at a micro-batch's size, and the stages work on different micro-batches meanwhile. Two-batch overlap hides
// exchanges behind the other half's computation. Prices of products and collectives are remembered.
#pragma once

#include <map>
#include <memory>

#include "cost/calibration.hpp"
#include "ops/serving.hpp"
#include "plan/serving/stack.hpp"
#include "plan/step_cost.hpp"

namespace moeline {

struct IterationCost {
  Seconds time;
  Breakdown breakdown;  // exposed times add up to `time`
};

// A list of ops, and how often it runs in an iteration.
struct RepeatedStep {
  Step step;
  const LayerKind* kind = nullptr;  // of the model's layers; else embedding and head, or what stages exchange
  double times = 1;
};

class DecodeRounds;

class ServingSteps {
 public:
  // All outlive this. `free`: breakdown groups that are taken to cost no time.
  ServingSteps(const Scenario& scenario, const ServeLayout& layout, const Calibration& calibration, const StackConduct& conduct,
               std::vector<std::string_view> free = {});
  ~ServingSteps();
  ServingSteps(const ServingSteps&) = delete;
  ServingSteps& operator=(const ServingSteps&) = delete;

  IterationCost cost(const Iteration& iteration) const;
  Seconds time(const Iteration& iteration) const;
  // What it is made of, beside the host; of two overlapping halves, the lists of one, twice.
  std::vector<RepeatedStep> lists(const Iteration& iteration) const;

  // `sequences` of the whole worker, each with `context` tokens cached and `tokens_each` new ones.
  Iteration decoding(double sequences, double context, double tokens_each) const;
  // As the scenario decodes: the iteration that yields tokens, and the time of a token, by itself or of a round of speculation.
  Iteration decoding(double sequences, double context) const;
  Seconds decode(double sequences, double context) const;
  const DecodeRounds* rounds() const { return rounds_.get(); }  // nullptr: a token an iteration
  // `prompts` of the whole worker, `tokens` of each new and `before` cached, beside sequences that decode.
  Iteration with_prompts(Iteration decoding, double prompts, double tokens, double before, bool finishing) const;

  const Scenario& scenario() const { return scenario_; }
  const ServingContext& context() const { return context_; }
  const StackConduct& conduct() const { return conduct_; }
  const Machine& machine() const { return machine_; }
  const std::vector<std::string>& notes() const { return notes_; }

 private:
  Seconds eager_launches(const Iteration& iteration) const;
  IterationCost layers(const Iteration& iteration) const;
  // Two halves of the batch, each computing while the other's rows travel.
  IterationCost overlapped_layers(const Iteration& iteration) const;
  void add_row(IterationCost& to, const Iteration& iteration, std::string_view what, Seconds time, std::string_view bound,
               Source source) const;

  const Scenario& scenario_;
  std::vector<std::string> notes_;
  ServedFormats formats_;
  ServeLayout layout_;
  StackConduct conduct_;
  ServingContext context_;
  bool two_batches_;
  mutable CostMemo memo_;
  Machine machine_;
  std::vector<double> count_;  // layers of each kind
  std::unique_ptr<DecodeRounds> rounds_;
};

}  // namespace moeline
