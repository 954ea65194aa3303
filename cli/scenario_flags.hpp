// The flags that every question about a scenario shares, laid over the scenario file.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "reports/report.hpp"
#include "spec/scenario.hpp"

namespace CLI {
class App;
}

namespace moeline {

struct ScenarioFlags {
  std::string file, model, hardware, recipe, parallel, routing, calibration, recompute, format = "table";
  std::optional<std::int64_t> devices, sequence, global_batch, micro_batch, tokens;
  std::vector<std::string> set;
  bool quiet = false;

  void add_to(CLI::App& command);
  // The scenario file with flags over it; `kind` is the workload the command asks about.
  Json scenario(const std::string& kind) const;
  std::string origin() const { return file.empty() ? "command line" : file; }
  Format output() const;
};

Format format_named(const std::string& name);

}  // namespace moeline
