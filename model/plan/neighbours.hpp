// Which layouts, deployments and switches lie one step away, can they run, and what would they change?
//
// Training on GPUs: tp, pp, vpp, ep, etp, cp and micro_batch doubled and halved, ZeRO one stage up and down, other
// recomputation, formats, transports and overlaps; a layer: those of them that it has; a deployment: plan/serving/changes;
// a wafer: tiles doubled and halved, inputs and scores elsewhere, other recomputation. And the router's load, which nobody
// chooses. Each is read anew as if typed, so that defaults follow; in training dp takes what is left, global_batch stays.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "plan/evaluate.hpp"

namespace moeline {

struct Change {
  std::string label;             // "ep 64 -> 128"
  std::vector<std::string> set;  // as --set takes them: "/parallelism/ep=128"
  bool choice = true;            // false: the load of experts
};
Change switched(std::string_view name, std::string_view from, std::string_view to, const std::string& pointer);  // "name from -> to"
void add_halved_and_doubled(std::vector<Change>& list, const std::string& name, const std::string& pointer, std::int64_t now);
void add_load(std::vector<Change>& list, const Routing& routing, std::int64_t ep);  // a random router, or an even one

struct ServedFigures {
  Seconds tpot, ttft;
  double tokens_per_second_per_device = 0;
};
ServedFigures figures_of(const ServeEvaluation& served);

struct LayoutNeighbour {
  Change change;
  std::optional<double> time_change{};    // relative; absent when it cannot run
  std::optional<ServedFigures> served{};  // of a deployment that runs
  Bytes memory;                           // required by the stage that binds; zero when not known
  std::string obstacle{};                 // why it cannot run
};

// `json` is the scenario as given, `scenario` as read, `evaluation` its answer. Those that run first, best first.
std::vector<LayoutNeighbour> layout_neighbours(const Json& json, const std::string& origin, const Scenario& scenario,
                                               const Calibration& calibration, const Evaluation& evaluation);

}  // namespace moeline
