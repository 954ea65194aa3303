// What does one optimiser step on one wafer cost, once it is decided how the batch is cut?
//
//   step = sum over micro-batches, layers and passes of max(stream, compute) + fixed costs, + fill + drain
// Every op's time on the core array is proportional to the sequences it sees, so each layer kind is priced once, for
// one sequence, and every cut of the batch is a sum of products.
#pragma once

#include <array>
#include <vector>

#include "ops/decoder.hpp"
#include "plan/step_cost.hpp"
#include "plan/wafer/answer.hpp"
#include "spec/scenario.hpp"
#include "wafer/memory.hpp"
#include "wafer/roofline.hpp"
#include "wafer/streaming.hpp"

namespace moeline {

// Arithmetic of one sequence through one op list.
struct PassCost {
  Breakdown breakdown;
  Seconds time;
};
PassCost pass_cost(const Step& step, const CoreArray& array, std::string_view phase = {});

// A layer kind, the embedding, the head or an MTP projection: what a sequence costs, what a pass streams.
struct WaferPart {
  std::string_view name;              // "MoE layer", "head"
  PassCost forward, again, backward;  // again: forward once more, inside backward
  double count = 1;
  double parameters = 0, gradients = 0;
  bool layer = false;
  bool read_in_backward = true;  // false: the embedding's table
};

// How a step is cut: full micro-batches, then the last one. Gradients leave with the last, or with every one.
struct MicroBatches {
  TilePlan plan;
  bool sends_gradients = true;
  double times = 0;
};

inline constexpr std::string_view kFixedCosts = "fixed costs of layers and tiles";
// The load without streams that are taken to cost nothing; the conduct without fixed costs that are.
PassLoad without_free(PassLoad load, const CoreArray& array);
CoreArray core_array(const Wafer& wafer, const WaferConduct& conduct, std::vector<std::string_view> free);

class WaferStep {
 public:
  WaferStep(const Scenario& scenario, const TrainWorkload& train, const WaferConduct& conduct,
            std::vector<std::string_view> free = {});
  WaferStep(const WaferStep&) = delete;  // its parts refer to each other
  WaferStep& operator=(const WaferStep&) = delete;

  // One step of `sequences` on every system. Rows of the breakdown are added to `rows` where it is given.
  Seconds step(const TilePlan& plan, std::int64_t sequences, Breakdown* rows = nullptr) const;
  // The same passes as terms: times x time, and the once-a-step rows of the breakdown, add up to the step.
  std::vector<WaferPass> passes(const TilePlan& plan, std::int64_t sequences) const;
  // Arithmetic of one sequence, forward and backward, nothing streamed.
  Seconds sequence_time() const;
  Breakdown sequence_breakdown() const;

  const DecoderContext& context() const { return context_; }  // of one sequence
  const SramContext& memory() const { return memory_; }
  const CoreArray& array() const { return array_; }
  const WaferLines& lines() const { return lines_; }

 private:
  void price_parts();
  std::array<MicroBatches, 2> micro_batches(const TilePlan& plan, std::int64_t sequences) const;
  void count_internals();
  double again_count(const WaferPart& part, const TilePlan& plan) const;
  std::array<PassLoad, 3> loads(const WaferPart& part, const TilePlan& plan, bool sends_gradients) const;
  Seconds micro_batch(const TilePlan& plan, bool sends_gradients, Breakdown* rows) const;
  Seconds outer(const TilePlan& plan, Breakdown* rows) const;

  const Scenario& s_;
  const Parallelism one_{};
  TrainWorkload train_;  // without what only GPUs do
  DecoderContext context_;
  CoreArray array_;
  WaferLines lines_;
  SramContext memory_;
  std::vector<WaferPart> parts_;  // layers first
};

}  // namespace moeline
