#include "plan/parts.hpp"

#include <algorithm>

namespace moeline {
namespace {

// A product that adds to the gradient buffer, or the embedding's rows that do.
bool makes_weight_gradient(const Op& op) {
  if (const Gemm* gemm = std::get_if<Gemm>(&op.work)) return gemm->accumulate;
  if (const GroupedGemm* gemm = std::get_if<GroupedGemm>(&op.work)) return gemm->accumulate;
  return op.phase == Phase::backward && op.group == "embedding";
}

// Without a CUDA graph the host issues every op. It runs ahead of the device, so that only what the device's time does not
// cover is a gap.
BreakdownRow launch_gap(const Step& step, const Breakdown& passes, const Machine& machine) {
  const HostFit& host = machine.calibration.host;
  const Seconds issue = static_cast<double>(step.size()) * host.op, gap = issue - passes.exposed();
  return {.name = "launch gaps", .phase = name(step.front().phase), .seconds = gap, .exposed = gap, .bound_by = "host",
          .source = host.source, .spread = host.spread, .largest = gap};
}

PricedPass part_pass(const Step& step, const Machine& machine, bool cuda_graph, Breakdown& names) {
  StepCost cost = step_cost(step, machine);
  if (!cuda_graph && !step.empty() && !is_free(machine, "launch gaps")) {
    const BreakdownRow gap = launch_gap(step, cost.breakdown, machine);
    if (gap.exposed > Seconds{}) cost.breakdown.add(gap);
  }
  PricedPass pass{.time = cost.breakdown.exposed(), .exchange = {}, .network = {}, .weight = {}, .rows = cost.breakdown.rows(), .places = {}};
  pass.places.reserve(pass.rows.size());
  for (const BreakdownRow& row : pass.rows) {
    pass.places.push_back(names.place(row));
    if (std::find(kExchanges.begin(), kExchanges.end(), row.name) == kExchanges.end()) continue;
    pass.exchange += row.exposed;
    pass.network += row.seconds;
  }
  for (std::size_t i = 0; i < step.size(); ++i) {
    if (makes_weight_gradient(step[i])) pass.weight += cost.timeline.intervals[i].exposed;
  }
  return pass;
}

}  // namespace

StepParts step_parts(const DecoderContext& c, const Machine& machine) {
  StepParts parts;
  const auto part = [&](const Step& forward, const Step& backward) {
    return PricedPart{part_pass(forward, machine, c.train.cuda_graph, parts.forward_names),
                      part_pass(backward, machine, c.train.cuda_graph, parts.backward_names)};
  };
  for (const LayerKind& kind : c.model.kinds) parts.kinds.push_back(part(layer_forward(c, kind), layer_backward(c, kind)));
  if (c.train.recompute_method == RecomputeMethod::block) {
    TrainWorkload kept = c.train;
    kept.full_recompute = false;
    const DecoderContext plain{c.model, c.parallelism, c.recipe, c.routing, c.sequences, c.sequence, kept};
    for (std::size_t k = 0; k < parts.kinds.size(); ++k) {
      parts.plain.push_back({parts.kinds[k].forward,
                             part_pass(layer_backward(plain, c.model.kinds[k]), machine, kept.cuda_graph, parts.backward_names)});
    }
  }
  parts.embedding = part(embedding_forward(c), embedding_backward(c));
  parts.mtp = part(mtp_forward(c), mtp_backward(c));
  parts.head = part(head_forward(c), head_backward(c));
  return parts;
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
