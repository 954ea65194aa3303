// The flags that every question about a scenario shares, laid over the scenario file.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "reports/report.hpp"
#include "spec/json.hpp"
#include "spec/scenario.hpp"

namespace CLI {
class App;
}

namespace moeline {

struct ScenarioFlags {
  std::string file, model, hardware, recipe, parallel, routing, balancer, calibration, recompute, schedule, trace, experts_backend, compile, format = "table", report;
  std::optional<std::int64_t> devices, sequence, global_batch, micro_batch, tokens;
  std::string stack, kv_cache;
  std::optional<std::int64_t> input_tokens, output_tokens, concurrency;
  std::optional<double> request_rate;
  bool attention_dp = false;
  std::vector<std::string> set;
  bool quiet = false;

  void add_to(CLI::App& command, const std::vector<std::string>& formats = {"table", "json", "csv", "md"});
  // Flags of a training step; of it or of a layer, for commands that take both.
  void add_training_to(CLI::App& command);
  void add_trace_to(CLI::App& command);
  void add_serving_to(CLI::App& command);
  void add_workload_to(CLI::App& command);
  // Flags of one layer.
  void add_layer_to(CLI::App& command);
  // The workload that file and flags ask about: "layer", "serve", or "train" if they do not say.
  std::string kind() const;
  // The scenario file with flags over it; `kind` is the workload the command asks about.
  Json scenario(const std::string& kind) const;
  std::string origin() const { return file.empty() ? "command line" : file; }
  Format output() const;

 private:
  void lay_over(Json& workload) const;
};

Format format_named(const std::string& name);

}  // namespace moeline
