#include "plan/serving/steps.hpp"

#include <algorithm>
#include <cmath>

#include "plan/serving/speculative_rounds.hpp"

namespace moeline {
namespace {

double real(std::int64_t value) { return static_cast<double>(value); }

// Kernels that a layer launches eagerly: the fifteen or so ops of the lists, most of them two or three kernels there.
constexpr double kKernels = 30;

// Of DeepEP's normal kernels beside computation, as DeepSeek runs them.
constexpr double kExchangeMultiprocessors = 24;

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
      two_batches_(std::get<ServeWorkload>(s.workload).two_batch_overlap),
      machine_{std::get<Gpu>(s.cluster.device), s.cluster.fabric, calibration, std::move(free), &memo_},
      count_(s.model.kinds.size()) {
  for (const int kind : s.model.layers) ++count_[static_cast<std::size_t>(kind)];
  if (s.speculation.kind != SpeculationKind::none) rounds_ = std::make_unique<DecodeRounds>(*this);
}

ServingSteps::~ServingSteps() = default;

void ServingSteps::add_row(IterationCost& to, const Iteration& it, std::string_view what, Seconds time, std::string_view bound,
                           Source source) const {
  if (!(time > Seconds{}) || is_free(machine_, what)) return;
  BreakdownRow row;
  row.name = what;
  row.phase = name(it.prefills() ? Phase::prefill : Phase::decode);
  row.seconds = row.exposed = row.largest = time;
  row.bound_by = bound;
  row.source = source;
  to.breakdown.add(row);
  to.time += time;
}

Seconds ServingSteps::eager_launches(const Iteration& it) const {
  const bool graph = std::get<ServeWorkload>(scenario_.workload).cuda_graph && !it.prefills();
  return graph ? Seconds{} : real(static_cast<std::int64_t>(context_.model.layers.size())) * kKernels * conduct_.launch;
}

namespace {

// Stages hand tokens on.
Collective hand_on(const ServingContext& c, const Iteration& it) {
  return {CollectiveKind::send_recv, bytes(DType::bf16, it.tokens() * real(c.model.hidden)), {c.layout.pp, c.layout.width()}};
}

Iteration half_of(Iteration it) {
  it.decoding /= 2;
  it.prompts /= 2;
  return it;
}

}  // namespace

IterationCost ServingSteps::layers(const Iteration& it) const {
  IterationCost result;
  for (std::size_t k = 0; k < count_.size(); ++k) {
    if (!(count_[k] > 0)) continue;
    const StepCost one = step_cost(served_layer(context_, context_.model.kinds[k], it), machine_);
    result.breakdown.add(one.breakdown, count_[k]);
    result.time += count_[k] * one.makespan;
  }
  return result;
}

IterationCost ServingSteps::overlapped_layers(const Iteration& it) const {
  const IterationCost one = layers(half_of(it));
  IterationCost result;
  result.breakdown.add(one.breakdown, 2);
  Seconds network;
  std::vector<std::string_view> travels;
  for (const BreakdownRow& row : result.breakdown.rows()) {
    if (row.lane != Lane::network) continue;
    network += row.exposed;
    travels.push_back(row.name);
  }
  const Seconds compute = 2 * one.time - network, hidden = min(network, compute);
  result.breakdown.hide(travels, hidden);
  const bool takes = it.prefills() && context_.prefill_transport == ExpertTransport::deepep;
  const Seconds taken = takes ? hidden * (kExchangeMultiprocessors / real(machine_.gpu.multiprocessors.value)) : Seconds{};
  add_row(result, it, "multiprocessors lent to the exchange", taken, "tensor", Source::assumed);
  result.time += 2 * one.time - hidden;
  return result;
}

IterationCost ServingSteps::cost(const Iteration& it) const {
  IterationCost result = two_batches_ ? overlapped_layers(it) : layers(it);
  const StepCost ends = step_cost(served_ends(context_, it), machine_);
  result.breakdown.add(ends.breakdown);
  result.time += ends.makespan;
  if (layout_.pp > 1) {
    const OpCost hop = moeline::cost(Work{hand_on(context_, it)}, machine_);
    add_row(result, it, "pipeline exchange", (real(layout_.pp) - 1) * hop.time, hop.bound_by, hop.source);
  }
  add_row(result, it, "launch gaps", max(Seconds{}, eager_launches(it) - result.time), "host", Source::assumed);
  add_row(result, it, "host", conduct_.host + (it.decoding + it.prompts) * conduct_.host_sequence, "host", Source::assumed);
  return result;
}

std::vector<RepeatedStep> ServingSteps::lists(const Iteration& it) const {
  const Iteration some = two_batches_ ? half_of(it) : it;
  std::vector<RepeatedStep> list;
  for (std::size_t k = 0; k < count_.size(); ++k) {
    const LayerKind& kind = context_.model.kinds[k];
    if (count_[k] > 0) list.push_back({served_layer(context_, kind, some), &kind, (two_batches_ ? 2 : 1) * count_[k]});
  }
  list.push_back({served_ends(context_, it)});
  if (layout_.pp > 1) {
    const Op hop{.name = "hand on", .group = "pipeline exchange", .phase = it.prefills() ? Phase::prefill : Phase::decode,
                 .lane = Lane::network, .work = hand_on(context_, it)};
    list.push_back({{hop}, nullptr, real(layout_.pp) - 1});
  }
  return list;
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
