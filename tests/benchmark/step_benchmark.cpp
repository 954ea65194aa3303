// How many training steps a second? Layouts of DeepSeek-V3 on 2,048 GB200, evaluated in full (memory, time, range,
// breakdown) as a search does, and the cost of one against the micro-batches and the layers it has.
#include <benchmark/benchmark.h>

#include "fit/calibration_file.hpp"
#include "plan/layouts.hpp"
#include "plan/training/train.hpp"
#include "spec/json.hpp"

namespace moeline {
namespace {

Scenario scenario(const Json& model, std::int64_t devices, std::int64_t global_batch, const Json& parallelism) {
  return read_scenario(Json{{"model", model},
                            {"hardware", "gb200-nvl72"},
                            {"devices", devices},
                            {"recipe", "bf16"},
                            {"parallelism", parallelism},
                            {"workload", {{"kind", "train"}, {"global_batch", global_batch}, {"recompute", "full"}}}},
                       "benchmark");
}

Calibration calibration(const Scenario& s) { return calibration_named("auto", s.cluster); }

// All layouts that fit, in the order of a search; every 17th family, so that one round takes seconds.
void layouts_of_deepseek_v3(benchmark::State& state) {
  const Scenario s = scenario("deepseek-v3", 2048, 15360, {{"ep", 64}});
  const Calibration fits = calibration(s);
  const LayoutSpace space(s, {});
  ReasonCounts refused;
  std::vector<Layout> layouts;
  const std::vector<LayoutFamily> families = space.families();
  for (std::size_t i = 0; i < families.size(); i += 17) {
    for (const Layout& layout : space.members(families[i], refused)) layouts.push_back(layout);
  }
  TrainingSteps steps(s.cluster, s.model, fits);
  std::int64_t evaluated = 0;
  for (auto _ : state) {
    for (const Layout& layout : layouts) {
      const TrainWorkload train = workload_of(s, layout);
      const StepAnswer answer = steps.evaluate({s.recipe, s.routing, layout.parallelism, train});
      if (std::holds_alternative<TrainEvaluation>(answer)) ++evaluated;
    }
  }
  state.SetItemsProcessed(evaluated);
}
BENCHMARK(layouts_of_deepseek_v3)->Unit(benchmark::kMillisecond);

// One layout with two batches in turn, so that every step runs its pipeline: what a sweep of batches costs a point.
template <class MakeScenario>
void one_layout(benchmark::State& state, MakeScenario scenario_of_batch) {
  const Scenario once = scenario_of_batch(1), twice = scenario_of_batch(2);
  const Calibration fits = calibration(once);
  TrainingSteps steps(once.cluster, once.model, fits);
  if (!std::holds_alternative<TrainEvaluation>(evaluate_step(once, steps))) return state.SkipWithError("does not run");
  for (auto _ : state) {
    benchmark::DoNotOptimize(evaluate_step(once, steps));
    benchmark::DoNotOptimize(evaluate_step(twice, steps));
  }
  state.SetItemsProcessed(2 * state.iterations());
}
void micro_batches(benchmark::State& state) {
  one_layout(state, [&](std::int64_t times) { return scenario("deepseek-v3", 1024, 64 * times * state.range(0), {{"pp", 16}, {"ep", 64}}); });
}
BENCHMARK(micro_batches)->RangeMultiplier(4)->Range(64, 16384);

void interleaved_micro_batches(benchmark::State& state) {
  one_layout(state, [&](std::int64_t times) { return scenario("deepseek-v3", 256, 64 * times * state.range(0), {{"pp", 4}, {"vpp", 4}, {"ep", 64}}); });
}
BENCHMARK(interleaved_micro_batches)->RangeMultiplier(4)->Range(64, 16384);

void layers(benchmark::State& state) {
  const Json model{{"base", "deepseek-v3"}, {"num_hidden_layers", state.range(0)}};
  one_layout(state, [&](std::int64_t times) { return scenario(model, 1024, 4096 * times, {{"pp", 8}, {"ep", 64}}); });
}
BENCHMARK(layers)->RangeMultiplier(2)->Range(16, 256);

}  // namespace
}  // namespace moeline
