#include "plan/neighbours.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "spec/json.hpp"

namespace moeline {
namespace {

struct Change {
  std::string label, pointer, value;
};

void add_halved_and_doubled(std::vector<Change>& list, const std::string& name, const std::string& pointer,
                            std::int64_t now) {
  list.push_back({fmt::format("{} {} -> {}", name, now, 2 * now), pointer, std::to_string(2 * now)});
  if (now % 2 == 0) list.push_back({fmt::format("{} {} -> {}", name, now, now / 2), pointer, std::to_string(now / 2)});
}

std::vector<Change> changes(const TrainWorkload& train, const Routing& routing, const Parallelism& p) {
  std::vector<Change> list;
  const auto cut = [&](const char* name, std::int64_t now) {
    add_halved_and_doubled(list, name, fmt::format("/parallelism/{}", name), now);
  };
  cut("tp", p.tp);
  cut("pp", p.pp);
  if (p.pp > 1) cut("vpp", p.vpp);
  cut("ep", p.ep);
  if (p.etp > 1) cut("etp", p.etp);
  cut("cp", p.cp);
  for (const int zero : {p.zero - 1, p.zero + 1}) {
    if (zero >= 0 && zero <= 3)
      list.push_back({fmt::format("zero {} -> {}", p.zero, zero), "/parallelism/zero", std::to_string(zero)});
  }
  add_halved_and_doubled(list, "micro_batch", "/workload/micro_batch", train.micro_batch);
  const bool none = !train.full_recompute && train.recompute.empty();
  if (!none) list.push_back({"no recomputation", "/workload/recompute", "none"});
  if (!train.full_recompute) list.push_back({"full recomputation", "/workload/recompute", "full"});
  if (routing.popularity == Popularity::balanced && p.ep > 1)
    list.push_back({"a random router", "/routing/popularity", "uniform"});
  if (routing.popularity != Popularity::balanced && p.ep > 1)
    list.push_back({"balanced routing", "/routing/popularity", "balanced"});
  return list;
}

// The same of a wafer: the cut of its batch; where G or B is not the change, it is chosen anew.
std::vector<Change> wafer_changes(const WaferAnswer& wafer) {
  std::vector<Change> list;
  const std::string options = "/workload/wafer/";
  const TilePlan& plan = wafer.plan;
  const auto add = [&](const std::string& label, const char* key, std::string_view value) {
    list.push_back({label, options + key, std::string(value)});
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

}  // namespace

std::vector<LayoutNeighbour> layout_neighbours(const Json& json, const std::string& origin, const Scenario& scenario,
                                               const Calibration& calibration, const TrainEvaluation& answer) {
  const TrainWorkload& train = std::get<TrainWorkload>(scenario.workload);
  Json base = json;
  base["parallelism"] = scenario.resolved["parallelism"];
  base["parallelism"].erase("schedule");  // follows vpp unless it was given
  if (json.contains("parallelism") && json["parallelism"].contains("schedule"))
    base["parallelism"]["schedule"] = json["parallelism"]["schedule"];
  base["parallelism"]["dp"] = "auto";
  base["workload"]["global_batch"] = train.global_batch;
  std::vector<LayoutNeighbour> list;
  for (const Change& change :
       answer.wafer ? wafer_changes(*answer.wafer) : changes(train, scenario.routing, answer.parallelism)) {
    LayoutNeighbour& next =
        list.emplace_back(LayoutNeighbour{.change = change.label, .pointer = change.pointer, .value = change.value});
    try {
      Json moved = base;
      const bool cuts = change.pointer == "/parallelism/pp" || change.pointer == "/parallelism/vpp";
      if (cuts && moved["workload"].erase("pipeline_layout") > 0) next.change += ", cut evenly";
      const bool routes = change.pointer == "/routing/popularity";
      if (routes && moved.contains("routing")) moved["routing"].erase("alpha");  // of the popularity that was
      set_field(moved, change.pointer + "=" + change.value, origin);
      const Scenario varied = read_scenario(moved, origin);
      const Outcome outcome = evaluate(varied, calibration);
      if (const Infeasible* why = std::get_if<Infeasible>(&outcome)) {
        next.obstacle = why->reason;
        next.memory = why->need.value_or(Bytes{});
      } else {
        const TrainEvaluation& other = std::get<TrainEvaluation>(std::get<Evaluation>(outcome).answer);
        next.time_change = other.step.value / answer.step.value - 1;
        next.memory = other.memory.total();
      }
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
