#include "plan/parts.hpp"

#include <algorithm>

#include "net/occupancy.hpp"

namespace moeline {
namespace {

// A collective waits for streams and groups besides its launch: so many ops more.
constexpr std::size_t kTransferIssue = 3;

// Without a CUDA graph the host issues every op. It runs ahead of the device, so that only what the device's time does not
// cover is a gap.
BreakdownRow launch_gap(const Step& step, const Breakdown& passes, const Machine& machine) {
  const HostFit& host = machine.calibration.host;
  const auto transfers = std::count_if(step.begin(), step.end(), [](const Op& op) { return op.lane == Lane::network; });
  const Seconds issue = static_cast<double>(step.size() + kTransferIssue * static_cast<std::size_t>(transfers)) * host.op, gap = issue - passes.exposed();
  return {.name = "launch gaps", .phase = name(step.front().phase), .seconds = gap, .exposed = gap, .bound_by = "host",
          .source = host.source, .spread = host.spread, .largest = gap};
}

BreakdownRow contention(std::string_view phase, Seconds time, Source source) {
  return {.name = "contention", .phase = phase, .seconds = time, .exposed = time, .bound_by = "multiprocessors", .source = source, .largest = time};
}

PassTimes times_of(const Breakdown& rows) {
  PassTimes times{.time = rows.exposed(), .exchange = {}, .network = {}, .weight = {}};
  for (const BreakdownRow& row : rows.rows()) {
    if (std::find(kExchanges.begin(), kExchanges.end(), row.name) == kExchanges.end()) continue;
    times.exchange += row.exposed;
    times.network += row.seconds;
  }
  return times;
}

// Both halves of a micro-batch side by side: exchanges of one hide behind compute of the other.
Breakdown two_halves(const Breakdown& half, std::string_view phase, double taken) {
  const PassTimes times = times_of(half);
  const Pair pair = pair_of(times, times, taken);
  Breakdown both;
  both.add(half, 2);
  both.hide(kExchanges, 2 * times.exchange - pair.exposed);
  if (pair.contention > Seconds{}) both.add(contention(phase, pair.contention, half.source()));
  return both;
}

// Prices passes one after the other; their ops take the same memory.
class PassPricer {
 public:
  PassPricer(const Machine& machine, const TrainWorkload& train) : machine_(machine), train_(train) {}

  Step memory() { return std::move(step_); }
  PricedPass pass(Step step, Breakdown& names);

 private:
  const Machine& machine_;
  const TrainWorkload& train_;
  Step step_;
};

PricedPass PassPricer::pass(Step step, Breakdown& names) {
  step_ = std::move(step);
  StepCost cost = step_cost(step_, machine_);
  if (!train_.cuda_graph && !step_.empty() && !is_free(machine_, "launch gaps")) {
    const BreakdownRow gap = launch_gap(step_, cost.breakdown, machine_);
    if (gap.exposed > Seconds{}) cost.breakdown.add(gap);
  }
  const bool halves = train_.overlap.contains(Overlap::two_batch);
  const double taken = moeline::taken(exchange_multiprocessors(train_.transport), machine_.gpu);
  const PassTimes alone = times_of(cost.breakdown);
  if (alone.network > Seconds{}) {
    const std::string_view phase = name(step_.front().phase);
    if (halves) {
      cost.breakdown = two_halves(cost.breakdown, phase, taken);
    } else if (alone.network > alone.exchange) {  // what hides within the layer
      cost.breakdown.add(contention(phase, taken * (alone.network - alone.exchange), cost.breakdown.source()));
    }
  } else if (halves) {
    Breakdown both;
    both.add(cost.breakdown, 2);
    cost.breakdown = std::move(both);
  }
  PricedPass pass{.times = times_of(cost.breakdown), .rows = cost.breakdown.rows(), .places = {}};
  pass.places.reserve(pass.rows.size());
  for (const BreakdownRow& row : pass.rows) pass.places.push_back(names.place(row));
  for (std::size_t i = 0; i < step_.size(); ++i) {
    if (makes_weight_gradient(step_[i])) pass.times.weight += (halves ? 2 : 1) * cost.timeline.intervals[i].exposed;
  }
  return pass;
}

}  // namespace

bool makes_weight_gradient(const Op& op) {
  if (const Gemm* gemm = std::get_if<Gemm>(&op.work)) return gemm->accumulate;
  if (const GroupedGemm* gemm = std::get_if<GroupedGemm>(&op.work)) return gemm->accumulate;
  return op.phase == Phase::backward && op.group == "embedding";
}

StepParts step_parts(const DecoderContext& whole, const Machine& machine) {
  const double share = whole.train.overlap.contains(Overlap::two_batch) ? 0.5 : 1;
  const DecoderContext c{whole.model, whole.parallelism, whole.recipe, whole.routing, share * whole.sequences, whole.sequence, whole.train};
  StepParts parts;
  PassPricer price(machine, c.train);
  const auto forward = [&](Step step) { return price.pass(std::move(step), parts.forward_names); };
  const auto backward = [&](Step step) { return price.pass(std::move(step), parts.backward_names); };
  parts.kinds.reserve(c.model.kinds.size());
  for (const LayerKind& kind : c.model.kinds) {
    PricedPass first = forward(layer_forward(c, kind, price.memory()));
    parts.kinds.push_back({std::move(first), backward(layer_backward(c, kind, price.memory()))});
  }
  if (c.train.recompute_method == RecomputeMethod::block) {
    TrainWorkload kept = c.train;
    kept.full_recompute = false;
    const DecoderContext plain{c.model, c.parallelism, c.recipe, c.routing, c.sequences, c.sequence, kept};
    for (std::size_t k = 0; k < parts.kinds.size(); ++k) {
      parts.plain.push_back({parts.kinds[k].forward, backward(layer_backward(plain, c.model.kinds[k], price.memory()))});
    }
  }
  parts.embedding = {forward(embedding_forward(c)), backward(embedding_backward(c))};
  parts.mtp = {forward(mtp_forward(c)), backward(mtp_backward(c))};
  parts.head = {forward(head_forward(c)), backward(head_backward(c))};
  return parts;
}

ChunkSum chunk_sum(const StepParts& parts, const ModelSpec& model, const StageContent& chunk) {
  ChunkSum sum;
  for_parts(parts, model, chunk, [&](const PricedPart& part, double times) {
    add(sum.forward, part.forward.times, times);
    add(sum.backward, part.backward.times, times);
  });
  return sum;
}

Breakdown stage_rows(const StepParts& parts, const ModelSpec& model, const StageContent& stage, bool forward, double times) {
  Breakdown sum = parts.names(forward);
  for_parts(parts, model, stage, [&](const PricedPart& part, double count) {
    const PricedPass& pass = part.pass(forward);
    for (std::size_t i = 0; i < pass.rows.size(); ++i) sum.add_at(pass.places[i], pass.rows[i], times * count);
  });
  sum.drop_empty();
  return sum;
}

}  // namespace moeline
