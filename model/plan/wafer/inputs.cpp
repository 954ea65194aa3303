#include "plan/wafer/inputs.hpp"

#include <fmt/format.h>

#include <cmath>

namespace moeline {
namespace {

constexpr double kNothing = 1e9;  // a rate times this takes no time

Wafer& wafer_of(Question& question) { return std::get<Wafer>(question.scenario.cluster.device); }

// Wafers train, or run a layer; serving on them is refused before anything is asked.
WaferOptions& options_of(Workload& workload) {
  if (TrainWorkload* train = std::get_if<TrainWorkload>(&workload)) return train->wafer;
  return std::get<LayerWorkload>(workload).wafer;
}
WaferOptions& options_of(Question& question) { return options_of(question.scenario.workload); }

void add_conduct(std::vector<Input>& list, const WaferConduct& conduct) {
  const auto share = [&](const char* name, const char* key, double WaferConduct::*field) {
    list.push_back({.name = name,
                    .pointer = fmt::format("/workload/wafer/{}", key),
                    .value = fmt::format("{:g}", conduct.*field),
                    .kind = InputKind::assumption,
                    .scale = [field](Question& q, double f) { options_of(q).conduct.*field *= f; }});
  };
  share("achieved share of the cores' peak", "efficiency", &WaferConduct::efficiency);
  share("achieved share of the lines", "line_efficiency", &WaferConduct::line_efficiency);
  const auto overhead = [&](const char* name, const char* key, Seconds WaferConduct::*field) {
    if (!(conduct.*field > Seconds{})) return;
    list.push_back({.name = name,
                    .pointer = fmt::format("/workload/wafer/{}", key),
                    .value = format(conduct.*field),
                    .kind = InputKind::latency,
                    .scale = [field](Question& q, double f) { options_of(q).conduct.*field *= f; }});
  };
  overhead("fixed cost of a layer", "layer_overhead", &WaferConduct::layer_overhead);
  overhead("fixed cost of a tile", "tile_overhead", &WaferConduct::tile_overhead);
}

}  // namespace

void fix_cut(Question& question, const WaferAnswer& answer) {
  WaferOptions& options = options_of(question);
  question.wafer_asked = options;
  options.mode = answer.mode;
  if (answer.mode == WaferMode::resident) return;
  options.tiles = static_cast<std::int64_t>(std::ceil(answer.plan.tiles()));
  options.attention_tile = answer.plan.tile;
  options.keep_inputs = answer.plan.keep;
  options.scores = answer.plan.scores;
}

void choose_cut_anew(Question& question) {
  if (!question.wafer_asked) return;
  const WaferConduct conduct = options_of(question).conduct;
  options_of(question) = *question.wafer_asked;
  options_of(question).conduct = conduct;
}

std::vector<Input> wafer_inputs(const Wafer& wafer, const Question& question) {
  std::vector<Input> list;
  const auto rate = [&](const char* name, const char* key, Fact<BytesPerSecond> Wafer::*field) {
    list.push_back({.name = name,
                    .pointer = fmt::format("/hardware/device/{}", key),
                    .value = format((wafer.*field).value),
                    .scale = [field](Question& q, double f) { (wafer_of(q).*field).value *= f; }});
  };
  list.push_back({.name = "bf16 peak of the cores",
                  .pointer = "/hardware/device/dense_peak/bf16",
                  .value = format(wafer.dense_peak.bf16->value),
                  .scale = [](Question& q, double f) { wafer_of(q).dense_peak.bf16->value *= f; }});
  rate("SRAM bandwidth", "sram_bandwidth", &Wafer::sram_bandwidth);
  rate("stream onto the wafer", "input_bandwidth", &Wafer::input_bandwidth);
  rate("stream off the wafer", "output_bandwidth", &Wafer::output_bandwidth);
  list.push_back({.name = "SRAM capacity",
                  .pointer = "/hardware/device/sram_capacity",
                  .value = format(wafer.sram_capacity.value),
                  .kind = InputKind::count,
                  .scale =
                      [](Question& q, double f) {
                        wafer_of(q).sram_capacity.value *= f;
                        choose_cut_anew(q);
                      },
                  .step = 0.1});  // a cut holds whole sequences: small steps see none or one
  const std::optional<ExternalMemory>& memory = question.scenario.cluster.external_memory;
  if (memory && memory->optimizer_rate) {
    list.push_back(
        {.name = "optimiser rate of the external memory",
         .pointer = "/hardware/external_memory/optimizer_rate",
         .value = fmt::format("{:.4g} parameters/s", memory->optimizer_rate->value),
         .scale = [](Question& q, double f) { q.scenario.cluster.external_memory->optimizer_rate->value *= f; }});
  }
  Workload workload = question.scenario.workload;
  add_conduct(list, options_of(workload).conduct);
  return list;
}

std::vector<WithoutPart> without_wafer_parts(const Question& question) {
  std::vector<WithoutPart> list;
  const auto add = [&](const char* name, const char* kind, auto take) {
    list.push_back({name, kind, question});
    take(list.back().question);
  };
  add("cores", "cores", [](Question& q) { wafer_of(q).dense_peak.bf16->value *= kNothing; });
  add("SRAM", "memory", [](Question& q) { wafer_of(q).sram_bandwidth.value *= kNothing; });
  add("streams on and off the wafer", "streams", [](Question& q) {
    wafer_of(q).input_bandwidth.value *= kNothing;
    wafer_of(q).output_bandwidth.value *= kNothing;
    q.scenario.cluster.fabric.front().bandwidth.value *= kNothing;
  });
  return list;
}

}  // namespace moeline
