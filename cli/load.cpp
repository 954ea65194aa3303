// `moeline load`: how long until a checkpoint is on the devices, by every way there is.
#include <fmt/format.h>

#include "cli/asking.hpp"
#include "cli/reporting.hpp"
#include "cli/scenario_flags.hpp"
#include "cli/subcommand.hpp"
#include "plan/serving/load.hpp"
#include "reports/load_table.hpp"
#include "spec/json.hpp"

namespace moeline {
namespace {

std::optional<BytesPerSecond> storage_rate(const std::string& text) {
  if (text.empty()) return std::nullopt;
  const auto rate = parse<Dimension{.second = -1, .byte = 1}>(text);
  if (!rate || !(*rate > BytesPerSecond{})) {
    throw SpecError("--storage", fmt::format("expected a rate such as \"7 GB/s\", not \"{}\"", text));
  }
  return rate;
}

struct Request {
  ScenarioFlags flags;
  std::string storage;
};

int load_answer(const Request& request) {
  const auto& [flags, storage] = request;
  const Json scenario = flags.scenario("layer");
  const ModelSpec model = read_model_of(scenario, flags.origin());
  Cluster cluster = read_cluster_of(scenario, flags.origin());
  cluster.devices = scenario.contains("devices") ? ObjectReader(scenario, flags.origin()).integer("devices", {1, 1 << 16})
                    : cluster.node               ? cluster.node->devices.value
                                                 : 1;
  std::vector<LoadRow> rows;
  bool any = false;
  const std::optional<BytesPerSecond> rate = storage_rate(storage);
  for (const LoadPlan& plan : load_plans()) {
    rows.push_back({plan, load(model, cluster, plan, rate)});
    any |= std::holds_alternative<LoadAnswer>(rows.back().outcome);
  }
  if (!any) return say_infeasible(std::get<Infeasible>(rows.front().outcome), flags.output(), flags.origin());
  write_report(flags.report, [&] { return load_json(rows, model, cluster); });
  if (flags.output() == Format::json) {
    fmt::print("{}\n", load_json(rows, model, cluster).dump(2));
  } else {
    print_folded(load_text(rows, model, cluster));
  }
  return kAnswered;
}

}  // namespace

void add_load(CLI::App& app, Action& action) {
  const auto [command, request] =
      subcommand(app, action, load_answer, "load", "a checkpoint onto the devices: time and peak memory by loader and placement",
                 "Example: moeline load --model qwen3-235b-a22b --hardware h200-sxm --devices 8");
  request->flags.add_to(*command, {"table", "json"});
  command->add_option("--storage", request->storage,
                      "rate of the files' storage, such as '7 GB/s'; left out: they are in the page cache");
}

}  // namespace moeline
