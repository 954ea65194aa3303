// Which figure of an answer can be asked for, and what does one say?
//
//   "mfu=0.4"  "mfu=40 %"  "step_time=12 s"  "tpot=20 ms"  "memory_headroom=10 GB"  "cost_per_million_tokens=0.5"
// A figure is one row of a table: its name, its unit, the answers it belongs to and where it stands there.
#pragma once

#include <optional>
#include <string>

#include "plan/evaluate.hpp"

namespace moeline {

struct Wanted {
  std::string key;
  double value = 0;  // SI base units; a share; money or kWh as the machine's profile states them
};
// `kind` of the workload: "train", "layer", "serve".
Wanted read_wanted(const std::string& text, const std::string& kind);
std::string wanted_text(const std::string& key, double value);  // "12 s", "41.2 %"

// The answer's figure of that name; memory is known for scenarios that do not fit, too.
std::optional<double> figure(const Scenario& scenario, const Outcome& outcome, const std::string& key);
// Why no answer on this machine has the figure (a price that is not stated), and what to set; empty if it has.
std::string missing_figure(const Cluster& cluster, const std::string& key);

// A number without unit; nothing else around it.
std::optional<double> plain_number(const std::string& text);

}  // namespace moeline
