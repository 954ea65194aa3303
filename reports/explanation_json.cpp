// The contract of `explain -o json`.
#include <cmath>

#include "reports/explanation.hpp"
#include "spec/json.hpp"

namespace moeline {
namespace {

Json number(double value) { return value == std::floor(value) ? Json(std::llround(value)) : Json(value); }

Json elasticities_json(const std::vector<Elasticity>& elasticities) {
  Json list = Json::array();
  for (const Elasticity& e : elasticities) {
    Json json{{"name", e.input.name},
              {"pointer", e.input.pointer},
              {"kind", name(e.input.kind)},
              {"value", e.input.value},
              {"elasticity", e.elasticity}};
    if (e.input.kind != InputKind::workload) json["effect_of_10_percent"] = e.effect;
    if (e.first) json["ttft_elasticity"] = e.first->elasticity;
    if (e.first && e.input.kind != InputKind::workload) json["ttft_effect_of_10_percent"] = e.first->effect;
    if (e.input.set) {
      json["neighbours"] = Json::array();
      for (const Neighbour& n : e.neighbours) {
        Json& next = json["neighbours"].emplace_back(Json{{"value", number(n.value)},
                                                          {"time_change", n.time_change},
                                                          {"throughput_change", n.throughput_change}});
        if (n.ttft_change) next["ttft_change"] = *n.ttft_change;
      }
      for (const RefusedNeighbour& n : e.refused)
        json["neighbours"].push_back(Json{{"value", number(n.value)}, {"feasible", false}, {"reason", n.reason}});
    }
    list.push_back(json);
  }
  return list;
}

Json holders_json(const std::vector<Holder>& holders) {
  Json list = Json::array();
  for (const Holder& h : holders) {
    if (h.share > 0) list.push_back(Json{{"bound_by", h.bound_by}, {"share", h.share}});
  }
  return list;
}

Json neighbours_json(const std::vector<LayoutNeighbour>& neighbours) {
  Json list = Json::array();
  for (const LayoutNeighbour& n : neighbours) {
    Json json{{"change", n.change.label}, {"set", n.change.set}, {"choice", n.change.choice}, {"feasible", n.time_change.has_value()}};
    if (n.time_change) json["time_change"] = *n.time_change;
    if (n.served) {
      json["tpot_seconds"] = n.served->tpot.in(second);
      json["ttft_seconds"] = n.served->ttft.in(second);
      json["tokens_per_second_per_device"] = n.served->tokens_per_second_per_device;
    }
    if (n.memory > Bytes{}) json["required_bytes"] = n.memory.in(byte);
    if (!n.obstacle.empty()) json["reason"] = n.obstacle;
    list.push_back(json);
  }
  return list;
}

Json terms_json(const std::vector<Term>& terms) {
  Json json = Json::object();
  for (const Term& term : terms) {
    // A unit in the key, but not twice: "tensor_seconds", "bytes".
    std::string key(term.name);
    if (!term.unit.empty() && term.name != term.unit) key.append("_").append(term.unit);
    json[key] = term.value;
  }
  return json;
}

Json passes_json(const std::vector<PassExplanation>& passes) {
  Json list = Json::array();
  for (const PassExplanation& pass : passes) {
    list.push_back(Json{{"where", pass.where},
                        {"phase", pass.phase},
                        {"seconds", pass.time.in(second)},
                        {"times", pass.times},
                        {"total_seconds", (pass.times * pass.time).in(second)},
                        {"bound_by", pass.bound_by},
                        {"formula", pass.formula.text},
                        {"terms", terms_json(pass.formula.terms)}});
  }
  return list;
}

Json ops_json(const std::vector<OpExplanation>& ops) {
  Json list = Json::array();
  for (const OpExplanation& op : ops) {
    Json json{{"name", op.name},
              {"group", op.group},
              {"phase", op.phase},
              {"where", op.where},
              {"seconds", op.cost.time.in(second)},
              {"times", op.times},
              {"total_seconds", op.total().in(second)},
              {"flops", op.cost.flops.in(flop)},
              {"bytes", op.cost.bytes.in(byte)},
              {"bound_by", op.cost.bound_by},
              {"source", name(op.cost.source)},
              {"formula", op.formula.text},
              {"terms", terms_json(op.formula.terms)}};
    list.push_back(json);
  }
  return list;
}

}  // namespace

Json explanation_json(const Explanation& e) {
  Json out{{"kind", "explain"}, {"feasible", true}};
  out["time_seconds"] = answer_time(e.evaluation).in(second);
  if (const TrainEvaluation* train = std::get_if<TrainEvaluation>(&e.evaluation.answer)) {
    out["memory"] = Json{{"required_bytes", train->memory.total().in(byte)},
                         {"available_bytes", train->memory_available.in(byte)},
                         {"headroom_bytes", (train->memory_available - train->memory.total()).in(byte)},
                         {"stage", train->memory_stage}};
  }
  if (const ServeEvaluation* serve = std::get_if<ServeEvaluation>(&e.evaluation.answer)) {
    const ServedFigures now = figures_of(*serve);
    out["tpot_seconds"] = now.tpot.in(second);
    out["ttft_seconds"] = now.ttft.in(second);
    out["tokens_per_second_per_device"] = now.tokens_per_second_per_device;
    out["ttft_held_by"] = holders_json(first_token_held_by(*serve));
    out["memory"] = Json{{"required_bytes", serve->memory.total().in(byte)},
                         {"available_bytes", serve->memory_available.in(byte)},
                         {"headroom_bytes", (serve->memory_available - serve->memory.total()).in(byte)}};
    out["max_concurrency"] = serve->max_concurrency;
  }
  out["held_by"] = holders_json(held_by(e.evaluation));
  out["elasticities"] = elasticities_json(e.elasticities);
  out["without"] = Json::array();
  for (const Free& f : e.without) {
    Json& next = out["without"].emplace_back(Json{{"name", f.name}, {"kind", f.kind}, {"time_seconds", f.time.in(second)}, {"time_change", f.change}});
    if (f.ttft_change) next["ttft_change"] = *f.ttft_change;
    next["held_by"] = holders_json(f.held_by);
  }
  out["neighbours"] = neighbours_json(e.neighbours);
  const std::vector<PassExplanation> passes = explained_passes(e.evaluation);
  if (!passes.empty()) out["passes"] = passes_json(passes);
  out["ops"] = ops_json(e.ops);
  out["assumptions"] = e.evaluation.assumptions;
  out["scenario"] = e.scenario.resolved;
  return out;
}

}  // namespace moeline
