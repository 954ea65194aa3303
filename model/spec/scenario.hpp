// One question, complete: which model, on which machine, cut how, in which precision, doing what.
//
// Read from a scenario file with flags laid over it. What is left out takes the default of Megatron-Core's published
// recipes for that hardware, and every such default is listed in `assumptions`.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "spec/catalogue.hpp"
#include "spec/cluster.hpp"
#include "spec/json.hpp"
#include "spec/llm.hpp"
#include "spec/parallelism.hpp"
#include "spec/recipe.hpp"
#include "spec/routing.hpp"
#include "spec/speculation.hpp"
#include "spec/workload.hpp"

namespace moeline {

struct Scenario {
  Cluster cluster;
  ModelSpec model;
  Recipe recipe;
  Parallelism parallelism;
  Workload workload;
  Routing routing;
  Speculation speculation{};  // of serving
  std::string calibration = "auto";
  std::vector<std::string> assumptions;
  bool lists_assumptions = true;  // false: nobody will read them
  Json resolved;  // the scenario as understood, defaults filled in, for echoing
};

// `json` is the scenario with flags already laid over it; `origin` names the file for messages.
Scenario read_scenario(const Json& json, const std::string& origin);

// What Megatron-Core's published performance recipes switch on for a layout, when the scenario does not say.
Transport default_transport(const Cluster& cluster, const Parallelism& parallelism);
EnumSet<Overlap> default_overlap(const Cluster& cluster, const Parallelism& parallelism, const Recipe& recipe);

// Fields of a scenario as they were read, before anything was filled in: each depends on its own JSON, and loads on how many experts
// share them.
struct ReadFields {
  std::optional<Workload> workload{};
  std::optional<Recipe> recipe{};
  std::optional<Parallelism> parallelism{};
  std::optional<Routing> routing{};
  std::int64_t experts = 0;

  void forget(std::string_view field);
};

// The same in steps, for many scenarios about one model on one machine: these two, then the rest of each, of which `known` is
// not read again. The rest leaves `resolved` alone.
Cluster read_cluster_of(const Json& json, const std::string& origin);
ModelSpec read_model_of(const Json& json, const std::string& origin);
void read_rest(Scenario& scenario, const Json& json, const std::string& origin, ReadFields& known);

// --set /parallelism/ep=32: any field of the scenario; /hardware/... and /model/... reach into profile and config.
void set_field(Json& scenario, const std::string& pointer_and_value, const std::string& origin);
// The same with pointer and value apart; `where` is what messages call the change.
void set_field(Json& scenario, const std::string& pointer, const Json& value, const std::string& origin,
               const std::string& where);

}  // namespace moeline
