#include "plan/serve_steps.hpp"

#include <algorithm>
#include <cmath>

#include "plan/speculative_rounds.hpp"

namespace moeline {
namespace {

double real(std::int64_t value) { return static_cast<double>(value); }

// Kernels of one decoder layer, counted in the op lists: attention, router, experts and their glue.
constexpr double kKernels = 14;

}  // namespace

ServingSteps::ServingSteps(const Scenario& s, const ServeLayout& layout, const Calibration& calibration,
                           const StackConduct& conduct, std::vector<std::string_view> free)
    : scenario_(s),
      formats_(served_formats(s.recipe, std::get<ServeWorkload>(s.workload), s.model, std::get<Gpu>(s.cluster.device), notes_)),
      layout_(layout),
      conduct_(conduct),
      context_{s.model, layout_, formats_, s.recipe, s.routing, std::get<ServeWorkload>(s.workload).stack,
               decode_transport(std::get<ServeWorkload>(s.workload), layout, s.cluster),
               decode_transport(std::get<ServeWorkload>(s.workload), layout, s.cluster)},
      machine_{std::get<Gpu>(s.cluster.device), s.cluster.fabric, calibration, std::move(free), &products_},
      count_(s.model.kinds.size()) {
  for (const int kind : s.model.layers) ++count_[static_cast<std::size_t>(kind)];
  if (s.speculation.kind != SpeculationKind::none) rounds_ = std::make_unique<DecodeRounds>(*this);
}

ServingSteps::~ServingSteps() = default;

Seconds ServingSteps::eager_launches(const Iteration& it) const {
  const bool graph = std::get<ServeWorkload>(scenario_.workload).cuda_graph && !it.prefills();
  return graph ? Seconds{} : real(static_cast<std::int64_t>(context_.model.layers.size())) * kKernels * conduct_.launch;
}

namespace {

// Stages hand tokens on.
Collective hand_on(const ServingContext& c, const Iteration& it) {
  return {CollectiveKind::send_recv, bytes(DType::bf16, it.tokens() * real(c.model.hidden)), {c.layout.pp, c.layout.width()}};
}

}  // namespace

IterationCost ServingSteps::cost(const Iteration& it) const {
  IterationCost result;
  const auto add = [&](const Step& step, double times) {
    const StepCost one = step_cost(step, machine_);
    result.breakdown.add(one.breakdown, times);
    result.time += times * one.makespan;
  };
  for (std::size_t k = 0; k < count_.size(); ++k) {
    if (count_[k] > 0) add(served_layer(context_, context_.model.kinds[k], it), count_[k]);
  }
  add(served_ends(context_, it), 1);
  const std::string_view phase = name(it.prefills() ? Phase::prefill : Phase::decode);
  const auto beside = [&](std::string_view what, Seconds time, std::string_view bound) {
    if (!(time > Seconds{}) || is_free(machine_, what)) return;
    result.breakdown.add({.name = what, .phase = phase, .seconds = time, .exposed = time, .bound_by = bound,
                          .source = Source::assumed, .largest = time});
    result.time += time;
  };
  if (layout_.pp > 1) {
    const OpCost hop = moeline::cost(Work{hand_on(context_, it)}, machine_);
    beside("pipeline exchange", (real(layout_.pp) - 1) * hop.time, hop.bound_by);
  }
  beside("launch gaps", max(Seconds{}, eager_launches(it) - result.time), "host");
  beside("host", conduct_.host + (it.decoding + it.prompts) * conduct_.host_sequence, "host");
  return result;
}

Seconds ServingSteps::time(const Iteration& it) const { return cost(it).time; }

Iteration ServingSteps::decoding(double sequences, double context, double tokens_each) const {
  const double groups = real(layout_.dp * layout_.pp);
  return {.decoding = sequences / groups, .context = context, .tokens_each = tokens_each};
}

Iteration ServingSteps::decoding(double sequences, double context) const {
  return rounds_ ? rounds_->at(sequences, context).iteration : decoding(sequences, context, 1);
}

Seconds ServingSteps::decode(double sequences, double context) const {
  return rounds_ ? rounds_->at(sequences, context).token() : time(decoding(sequences, context, 1));
}

Iteration ServingSteps::with_prompts(Iteration it, double prompts, double tokens, double before, bool finishing) const {
  const double groups = real(layout_.dp);
  it.prompts = std::max(1.0, prompts / groups);  // the fullest group has a whole one
  it.even = prompts / groups / it.prompts;
  it.prompt = tokens;
  it.before = before;
  it.finishing = finishing ? it.prompts : 0;
  return it;
}

}  // namespace moeline
