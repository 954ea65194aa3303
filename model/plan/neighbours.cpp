#include "plan/neighbours.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "plan/elasticity.hpp"
#include "plan/serving/changes.hpp"
#include "spec/json.hpp"

namespace moeline {
namespace {

// Formats, but for those that the device multiplies as another; and ways for rows to reach experts.
void add_formats(std::vector<Change>& list, const Scenario& s, Transport transport, std::int64_t ep) {
  for (const char* name : {"bf16", "fp8_block", "mxfp8", "nvfp4"}) {
    Recipe recipe = read_recipe(name, "recipe");
    std::vector<std::string> notes;
    const bool refused = legalise(recipe, s.cluster.device, notes).has_value();
    if (s.recipe.name != name && (refused || notes.empty())) list.push_back(switched("recipe", s.recipe.name, name, "/recipe"));
  }
  for (const Transport next : {Transport::nccl, Transport::deepep, Transport::hybridep}) {
    if (ep > 1 && next != transport) list.push_back(switched("transport", name(transport), name(next), "/workload/transport"));
  }
}

void add_cut(std::vector<Change>& list, const char* name, std::int64_t now) {
  add_halved_and_doubled(list, name, fmt::format("/parallelism/{}", name), now);
}

void add_overlaps(std::vector<Change>& list, const TrainWorkload& train, const Parallelism& p) {
  for (const auto& [what, matters] : {std::pair{Overlap::dp_reduce, p.dp > 1}, std::pair{Overlap::param_gather, p.dp > 1 && p.zero > 0},
                                      std::pair{Overlap::tp, p.tp > 1}, std::pair{Overlap::pp, p.pp > 1}, std::pair{Overlap::ep_1f1b, p.ep > 1}}) {
    if (!matters) continue;
    const bool on = train.overlap.contains(what);
    Json next = Json::array();
    for (const Overlap overlap : train.overlap) {
      if (overlap != what) next.push_back(name(overlap));
    }
    if (!on) next.push_back(name(what));
    list.push_back({fmt::format("{} overlap of {}", on ? "no" : "with", name(what)), {"/workload/overlap=" + next.dump()}});
  }
}

std::vector<Change> changes(const Scenario& s, const TrainWorkload& train, const Parallelism& p) {
  std::vector<Change> list;
  add_cut(list, "tp", p.tp);
  add_cut(list, "pp", p.pp);
  if (p.pp > 1) add_cut(list, "vpp", p.vpp);
  add_cut(list, "ep", p.ep);
  if (p.etp > 1) add_cut(list, "etp", p.etp);
  add_cut(list, "cp", p.cp);
  for (const int zero : {p.zero - 1, p.zero + 1}) {
    if (zero >= 0 && zero <= 3) list.push_back(switched("zero", std::to_string(p.zero), std::to_string(zero), "/parallelism/zero"));
  }
  add_halved_and_doubled(list, "micro_batch", "/workload/micro_batch", train.micro_batch);
  const bool none = !train.full_recompute && train.recompute.empty();
  if (!none) list.push_back({"no recomputation", {"/workload/recompute=none"}});
  if (!train.full_recompute) list.push_back({"full recomputation", {"/workload/recompute=full"}});
  add_overlaps(list, train, p);
  add_formats(list, s, train.transport, p.ep);
  add_load(list, s.routing, p.ep);
  return list;
}

// A layer on its ranks; tp and cp would change how many tokens a device has.
std::vector<Change> layer_changes(const Scenario& s, const LayerWorkload& layer) {
  std::vector<Change> list;
  const Parallelism& p = s.parallelism;
  add_cut(list, "ep", p.ep);
  if (p.etp > 1) add_cut(list, "etp", p.etp);
  add_formats(list, s, layer.transport, p.ep);
  add_load(list, s.routing, p.ep);
  return list;
}

// The same of a wafer: the cut of its batch; where G or B is not the change, it is chosen anew.
std::vector<Change> wafer_changes(const WaferAnswer& wafer) {
  std::vector<Change> list;
  const std::string options = "/workload/wafer/";
  const TilePlan& plan = wafer.plan;
  const auto add = [&](const std::string& label, const char* key, std::string_view value) {
    list.push_back({label, {fmt::format("{}{}={}", options, key, value)}});
  };
  if (wafer.mode == WaferMode::resident) {
    add("weights streamed", "mode", name(WaferMode::streaming));
    return list;
  }
  add_halved_and_doubled(list, "tiles G", options + "g", std::llround(std::ceil(plan.tiles())));
  add_halved_and_doubled(list, "attention tile B", options + "attention_tile", plan.tile);
  for (const KeepInputs way : {KeepInputs::sram, KeepInputs::offload, KeepInputs::recompute}) {
    if (way != plan.keep) add(fmt::format("layer inputs: {} -> {}", name(plan.keep), name(way)), "keep_inputs", name(way));
  }
  for (const Scores way : {Scores::materialised, Scores::blockwise}) {
    if (way != plan.scores) add(fmt::format("scores: {} -> {}", name(plan.scores), name(way)), "scores", name(way));
  }
  add(plan.keep_internals ? "layers' inside computed again" : "layers' inside kept", "internals",
      plan.keep_internals ? "recompute" : "keep");
  add(plan.accumulate_on_wafer ? "gradients summed outside" : "gradients summed on the wafer", "accumulate",
      plan.accumulate_on_wafer ? "outside" : "wafer");
  return list;
}

// What is asked, with its cut written out, so that one field of it can move; a schedule follows vpp unless it was given.
Json written_out(const Json& json, const Scenario& scenario) {
  Json base = json;
  base["parallelism"] = scenario.resolved["parallelism"];
  base["parallelism"].erase("schedule");
  if (json.contains("parallelism") && json["parallelism"].contains("schedule"))
    base["parallelism"]["schedule"] = json["parallelism"]["schedule"];
  base["parallelism"]["dp"] = "auto";
  if (const TrainWorkload* train = std::get_if<TrainWorkload>(&scenario.workload)) base["workload"]["global_batch"] = train->global_batch;
  return base;
}

std::vector<Change> changes_of(const Json& json, const Scenario& scenario, const Evaluation& evaluation) {
  if (const ServeEvaluation* serve = std::get_if<ServeEvaluation>(&evaluation.answer)) return deployment_changes(json, scenario, *serve);
  if (const LayerWorkload* layer = std::get_if<LayerWorkload>(&scenario.workload))
    return std::get<LayerEvaluation>(evaluation.answer).wafer ? std::vector<Change>{} : layer_changes(scenario, *layer);
  const TrainEvaluation& answer = std::get<TrainEvaluation>(evaluation.answer);
  return answer.wafer ? wafer_changes(*answer.wafer) : changes(scenario, std::get<TrainWorkload>(scenario.workload), answer.parallelism);
}

void fill(LayoutNeighbour& next, const Outcome& outcome, Seconds now) {
  if (const Infeasible* why = std::get_if<Infeasible>(&outcome)) {
    next.obstacle = why->reason;
    next.memory = why->need.value_or(Bytes{});
    return;
  }
  const Evaluation& there = std::get<Evaluation>(outcome);
  next.time_change = answer_time(there) / now - 1;
  if (const TrainEvaluation* train = std::get_if<TrainEvaluation>(&there.answer)) next.memory = train->memory.total();
  if (const ServeEvaluation* serve = std::get_if<ServeEvaluation>(&there.answer)) {
    next.memory = serve->memory.total();
    next.served = figures_of(*serve);
  }
}

}  // namespace

Change switched(std::string_view name, std::string_view from, std::string_view to, const std::string& pointer) {
  return {fmt::format("{} {} -> {}", name, from, to), {fmt::format("{}={}", pointer, to)}};
}

void add_halved_and_doubled(std::vector<Change>& list, const std::string& name, const std::string& pointer, std::int64_t now) {
  list.push_back(switched(name, std::to_string(now), std::to_string(2 * now), pointer));
  if (now % 2 == 0) list.push_back(switched(name, std::to_string(now), std::to_string(now / 2), pointer));
}

void add_load(std::vector<Change>& list, const Routing& routing, std::int64_t ep) {
  const std::string popularity = "/routing/popularity=";
  if (ep == 1) return;
  if (routing.popularity == Popularity::balanced) list.push_back({"a random router", {popularity + "uniform"}, false});
  else list.push_back({"balanced routing", {popularity + "balanced", "/routing/alpha=null"}, false});  // alpha: of the popularity that was
}

ServedFigures figures_of(const ServeEvaluation& served) { return {served.tpot.value, served.ttft.value, served.tokens_per_second_per_device}; }

std::vector<LayoutNeighbour> layout_neighbours(const Json& json, const std::string& origin, const Scenario& scenario,
                                               const Calibration& calibration, const Evaluation& evaluation) {
  const bool serves = std::holds_alternative<ServeEvaluation>(evaluation.answer);
  const Json base = serves ? deployment(json, scenario) : written_out(json, scenario);
  std::vector<LayoutNeighbour> list;
  for (Change& change : changes_of(json, scenario, evaluation)) {
    LayoutNeighbour& next = list.emplace_back(LayoutNeighbour{.change = std::move(change)});
    try {
      Json moved = base;
      const std::string& first = next.change.set.front();
      const bool cuts = first.starts_with("/parallelism/pp=") || first.starts_with("/parallelism/vpp=");
      if (cuts && moved["workload"].erase("pipeline_layout") > 0) next.change.label += ", cut evenly";
      for (const std::string& field : next.change.set) set_field(moved, field, origin);
      const Scenario varied = read_scenario(moved, origin);
      fill(next, evaluate(varied, calibration), answer_time(evaluation));
    } catch (const SpecError& error) {
      next.obstacle = error.what();
    }
  }
  std::stable_sort(list.begin(), list.end(), [](const LayoutNeighbour& a, const LayoutNeighbour& b) {
    if (a.time_change.has_value() != b.time_change.has_value()) return a.time_change.has_value();
    return a.time_change && *a.time_change < *b.time_change;
  });
  return list;
}

}  // namespace moeline
