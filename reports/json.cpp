// The contract scripts rely on: SI base units, units in the keys, every key always there.
#include <cmath>

#include "plan/bill.hpp"
#include "plan/training/goodput.hpp"
#include "reports/formats.hpp"
#include "reports/memory_table.hpp"
#include "spec/json.hpp"

namespace moeline {
namespace {

Json row_json(std::string_view row_name, std::string_view phase, Lane lane, Seconds seconds, Seconds exposed, Seconds total,
              Flops flops, Bytes bytes, std::string_view bound_by, Source source) {
  return Json{{"name", row_name},
              {"phase", phase},
              {"lane", name(lane)},
              {"seconds", seconds.in(second)},
              {"exposed_seconds", exposed.in(second)},
              {"share", total > Seconds{} ? exposed / total : 0.0},
              {"flops", flops.in(flop)},
              {"bytes", bytes.in(byte)},
              {"bound_by", bound_by},
              {"source", name(source)}};
}

Json warnings_json(const Evaluation& evaluation) {
  Json list = Json::array();
  for (const Warning& warning : evaluation.warnings) {
    list.push_back(Json{{"code", warning.code}, {"message", warning.message}, {"advice", warning.advice}});
  }
  return list;
}

Json parts_json(const Footprint& memory) {
  Json parts = Json::object();
  for (const MemoryPart& part : memory.parts) parts[std::string(part.name) + "_bytes"] = part.bytes.in(byte);
  return parts;
}

Json memory_json(const TrainEvaluation& train, const Scenario& s) {
  Json out{{"required_bytes", train.memory.total().in(byte)},
           {"available_bytes", train.memory_available.in(byte)},
           {"stage", train.memory_stage},
           {"parts", parts_json(train.memory)}};
  if (train.wafer) return out;
  out["stages"] = Json::array();
  for (const Bytes& stage : train.stage_memory) out["stages"].push_back(stage.in(byte));
  out["tensors"] = Json::array();
  for (const HeldTensor& held : held_tensors(train, s)) {
    out["tensors"].push_back({{"layer", held.layer}, {"name", held.tensor}, {"bytes", held.each.in(byte)}, {"layers", held.layers}});
  }
  return out;
}

Json goodput_json(const Goodput& g) {
  Json out{{"between_failures_seconds", g.between_failures.in(second)},
           {"checkpoint_bytes_per_device", g.checkpoint.in(byte)},
           {"checkpoint_seconds", g.checkpoint_time.in(second)},
           {"checkpoint_interval_seconds", g.interval.in(second)},
           {"effective_share", g.effective},
           {"tokens_per_second", g.tokens_per_second}};
  if (g.run) {
    out["run_seconds"] = g.run->in(second);
    out["device_hours"] = g.device_hours;
  }
  return out;
}

// Unknown prices are absent, not zero.
Json cost_json(const TrainEvaluation& train, const Scenario& s) {
  Json cost = Json::object();
  const Bill sums = bill(s, train);
  if (sums.money) {
    cost["currency"] = sums.currency;
    cost["per_step"] = *sums.money;
    cost["per_million_tokens"] = *sums.money_per_million_tokens();
  }
  if (sums.energy) {
    cost["kilowatt_hours_per_step"] = sums.energy->in(kilowatt_hour);
    cost["kilowatt_hours_per_million_tokens"] = *sums.kilowatt_hours_per_million_tokens();
    cost["tokens_per_joule"] = sums.tokens / sums.energy->in(joule);
  }
  return cost;
}

Json wafer_json(const WaferAnswer& w) {
  Json out{{"mode", name(w.mode)},
           {"g", std::llround(w.plan.tiles())},
           {"attention_tile", w.plan.tile},
           {"attention_tile_at_most", w.limits.tile_cap},
           {"g_at_most_in_sram", w.limits.tiles_in_memory},
           {"g_at_most_in_batch", w.limits.tiles_in_batch},
           {"micro_batch_tokens", w.tokens},
           {"keep_inputs", name(w.plan.keep)},
           {"scores", name(w.plan.scores)},
           {"break_even_tokens_dense", w.break_even_dense},
           {"break_even_tokens", w.break_even_model}};
  if (w.expert_tokens) {
    out["break_even_tokens_per_expert"] = *w.break_even_expert;
    out["tokens_per_expert"] = *w.expert_tokens;
  }
  out["efficiency"] = w.conduct.efficiency;
  out["stream_seconds"] = w.stream.in(second);
  out["exposed_stream_seconds"] = w.exposed_stream.in(second);
  out["bound_by"] = w.binds;
  return out;
}

Json train_json(const TrainEvaluation& train, const Evaluation& evaluation, const Scenario& s) {
  Json out{{"kind", "train"}, {"feasible", true}};
  out["step_time_seconds"] = Json{{"value", train.step.value.in(second)}, {"p10", train.step.p10.in(second)}, {"p90", train.step.p90.in(second)}};
  out["tokens_per_second"] = train.tokens_per_second;
  out["tokens_per_second_per_device"] = train.tokens_per_second_per_device;
  out["model_tflops_per_device"] = train.model_rate.in(teraflop_per_second);
  out["mfu"] = train.mfu;
  out["mfu_peak"] = train.mfu_format;
  out["tokens_per_second_per_kilowatt"] = train.tokens_per_second_per_kilowatt;
  out["power_per_device_watts"] = train.power_per_device.in(watt);
  const Seconds shown = train.exposed_communication;
  out["communication"] = Json{{"seconds", train.communication.in(second)},
                              {"hidden_seconds", (train.communication - shown).in(second)},
                              {"exposed_share", shown / train.step.value}};
  out["memory"] = memory_json(train, s);
  if (std::get<TrainWorkload>(s.workload).run) out["goodput"] = goodput_json(goodput(s, train));
  if (train.wafer) out["wafer"] = wafer_json(*train.wafer);
  out["micro_batches"] = train.micro_batches;
  out["busiest_stage"] = train.busiest_stage;
  out["stage_layers"] = train.cut->stage_layers;
  out["breakdown"] = Json::array();
  for (const BreakdownRow& row : train.breakdown.rows()) {
    out["breakdown"].push_back(row_json(row.name, row.phase, row.lane, row.seconds, row.exposed, train.step.value,
                                        row.flops, row.bytes, row.bound_by, row.source));
  }
  out["source"] = name(evaluation.source);
  out["assumptions"] = evaluation.assumptions;
  out["warnings"] = warnings_json(evaluation);
  out["cost"] = cost_json(train, s);
  Json resolved = s.resolved;
  resolved["parallelism"]["dp"] = train.parallelism.dp;
  out["scenario"] = resolved;
  return out;
}

Json backends_json(const BackendsAnswer& answer) {
  Json out{{"compile", name(answer.compile)}, {"backends", Json::array()}, {"fastest", Json::array()}};
  for (const BackendRow& row : answer.rows) {
    out["backends"].push_back(Json{{"name", name(row.backend)},
                                   {"seconds", row.time.in(second)},
                                   {"kernel_seconds", row.kernels.in(second)},
                                   {"host_seconds", row.host.in(second)},
                                   {"all_reduce_seconds", row.all_reduce.in(second)},
                                   {"temporary_bytes", row.temporary.in(byte)},
                                   {"source", name(row.source)}});
  }
  for (const FastestFrom& from : answer.fastest) {
    out["fastest"].push_back(Json{{"from_tokens", from.tokens}, {"name", name(from.backend)}});
  }
  return out;
}

Json layer_json(const LayerEvaluation& layer, const Evaluation& evaluation, const Scenario& s) {
  Json out{{"kind", "layer"}, {"feasible", true}};
  out["forward_seconds"] = layer.forward.in(second);
  out["backward_seconds"] = layer.backward.in(second);
  if (layer.wafer) out["wafer"] = wafer_json(*layer.wafer);
  if (layer.backends) out["experts_backends"] = backends_json(*layer.backends);
  out["breakdown"] = Json::array();
  for (const LayerRow& row : layer.rows) {
    Json json = row_json(row.name, row.phase, row.lane, row.cost.time, row.exposed, layer.forward + layer.backward,
                         row.cost.flops, row.cost.bytes, row.cost.bound_by, row.cost.source);
    json["group"] = row.group;
    out["breakdown"].push_back(json);
  }
  out["source"] = name(evaluation.source);
  out["assumptions"] = evaluation.assumptions;
  out["warnings"] = warnings_json(evaluation);
  out["scenario"] = s.resolved;
  return out;
}

Json range_json(const Range& range) {
  return Json{{"value", range.value.in(second)}, {"p10", range.p10.in(second)}, {"p90", range.p90.in(second)}};
}

Json round_json(const DecodeRound& round) {
  Json out{{"draft_tokens", round.drafted},
           {"tokens_per_round", round.tokens},
           {"round_seconds", round.time.in(second)},
           {"verify_seconds", round.verify.in(second)},
           {"draft_seconds", round.draft.in(second)},
           {"plain_seconds", round.plain.in(second)},
           {"speedup", round.speedup()}};
  if (round.fan_out.slots.empty()) return out;
  out["tree_seconds"] = round.tree.in(second);
  out["message_seconds"] = round.messages.in(second);
  out["hit_rate"] = round.hit;
  out["fan_out"] = round.fan_out.slots;
  out["backup"] = name(round.backup);
  if (round.backup_switch) out["backup_switch_batch"] = *round.backup_switch;
  return out;
}

Json serve_json(const ServeEvaluation& serve, const Evaluation& evaluation, const Scenario& s) {
  Json out{{"kind", "serve"},
           {"feasible", true},
           {"ttft_seconds", range_json(serve.ttft)},
           {"tpot_seconds", range_json(serve.tpot)},
           {"tokens_per_second", serve.tokens_per_second},
           {"tokens_per_second_per_device", serve.tokens_per_second_per_device},
           {"tokens_per_second_per_user", serve.tokens_per_second_per_user},
           {"input_tokens_per_second", serve.input_tokens_per_second},
           {"requests_per_second", serve.requests_per_second},
           {"kv_cache_bytes", serve.kv_cache.in(byte)},
           {"max_concurrency", serve.max_concurrency},
           {"decoding", serve.decoding},
           {"prefill_utilisation", serve.utilisation},
           {"replicas", serve.replicas},
           {"decode_iteration_seconds", serve.decode_iteration.in(second)},
           {"prefill_iteration_seconds", serve.prefill_iteration.in(second)},
           {"queue_seconds", serve.queue.in(second)},
           {"transfer_seconds", serve.transfer.in(second)},
           {"memory",
            Json{{"required_bytes", serve.memory.total().in(byte)},
                 {"available_bytes", serve.memory_available.in(byte)},
                 {"parts", parts_json(serve.memory)}}}};
  if (serve.round) out["speculation"] = round_json(*serve.round);
  out["cost"] = Json::object();
  if (serve.money_per_million_tokens) {
    out["cost"] = Json{{"currency", s.cluster.price->currency}, {"per_million_tokens", *serve.money_per_million_tokens}};
  }
  out["breakdown"] = Json::array();
  for (const BreakdownRow& row : serve.breakdown.rows()) {
    const Seconds total = row.phase == name(Phase::decode) ? serve.tpot.value : serve.ttft.value;
    out["breakdown"].push_back(row_json(row.name, row.phase, row.lane, row.seconds, row.exposed, total, row.flops, row.bytes,
                                        row.bound_by, row.source));
  }
  out["source"] = name(evaluation.source);
  out["assumptions"] = evaluation.assumptions;
  out["warnings"] = warnings_json(evaluation);
  out["scenario"] = s.resolved;
  return out;
}

}  // namespace

Json to_json(const Evaluation& evaluation, const Scenario& scenario) {
  struct Visitor {
    const Evaluation& evaluation;
    const Scenario& scenario;
    Json operator()(const TrainEvaluation& train) const { return train_json(train, evaluation, scenario); }
    Json operator()(const LayerEvaluation& layer) const { return layer_json(layer, evaluation, scenario); }
    Json operator()(const ServeEvaluation& serve) const { return serve_json(serve, evaluation, scenario); }
  };
  return std::visit(Visitor{evaluation, scenario}, evaluation.answer);
}

Json infeasible_json(const Infeasible& infeasible) {
  Json out{{"feasible", false}, {"reason", infeasible.reason}};
  if (infeasible.need) out["need_bytes"] = infeasible.need->in(byte);
  if (infeasible.have) out["have_bytes"] = infeasible.have->in(byte);
  out["advice"] = infeasible.advice;
  return out;
}

}  // namespace moeline
