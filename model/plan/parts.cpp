#include "plan/parts.hpp"

#include <algorithm>

namespace moeline {
namespace {

PricedPass part_pass(const Step& step, const Machine& machine, Breakdown& names) {
  const StepCost cost = step_cost(step, machine);
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

bool makes_weight_gradient(const Op& op) {
  if (const Gemm* gemm = std::get_if<Gemm>(&op.work)) return gemm->accumulate;
  if (const GroupedGemm* gemm = std::get_if<GroupedGemm>(&op.work)) return gemm->accumulate;
  return op.phase == Phase::backward && op.group == "embedding";
}

StepParts step_parts(const DecoderContext& c, const Machine& machine) {
  StepParts parts;
  const auto part = [&](const Step& forward, const Step& backward) {
    return PricedPart{part_pass(forward, machine, parts.forward_names), part_pass(backward, machine, parts.backward_names)};
  };
  for (const LayerKind& kind : c.model.kinds) parts.kinds.push_back(part(layer_forward(c, kind), layer_backward(c, kind)));
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
