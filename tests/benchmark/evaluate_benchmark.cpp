// How fast are the pieces of an answer? One product, one layer, one step. A cold `moeline train` is timed by cold_start.
#include <benchmark/benchmark.h>

#include "fit/calibration_file.hpp"
#include "gpu/gemm.hpp"
#include "ops/decoder.hpp"
#include "plan/evaluate.hpp"
#include "plan/step_cost.hpp"
#include "spec/json.hpp"

namespace moeline {
namespace {

Scenario step(const std::string& model, const std::string& hardware, std::int64_t devices, std::int64_t global_batch) {
  return read_scenario(Json{{"model", model},
                            {"hardware", hardware},
                            {"devices", devices},
                            {"recipe", "bf16"},
                            {"parallelism", {{"tp", 2}, {"pp", 8}, {"vpp", 4}, {"ep", 32}}},
                            {"workload", {{"kind", "train"}, {"global_batch", global_batch}, {"gradient_dtype", "bf16"}}}},
                       "benchmark");
}

Calibration calibration(const Scenario& scenario) { return calibration_named("auto", scenario.cluster); }

void dense_product(benchmark::State& state) {
  const Scenario scenario = step("qwen3-235b-a22b", "h100-sxm", 256, 2048);
  const Calibration fits = calibration(scenario);
  const Gpu& gpu = std::get<Gpu>(scenario.cluster.device);
  const Gemm gemm{.m = static_cast<double>(state.range(0)), .n = 5120, .k = 2048};
  for (auto _ : state) benchmark::DoNotOptimize(cost(gemm, gpu, fits.gemm_bf16).time);
}
BENCHMARK(dense_product)->Arg(16)->Arg(4096);

void layer_built_and_priced(benchmark::State& state) {
  const Scenario scenario = step("qwen3-235b-a22b", "h100-sxm", 256, 2048);
  const Calibration fits = calibration(scenario);
  const Machine machine{std::get<Gpu>(scenario.cluster.device), scenario.cluster.fabric, fits};
  const DecoderContext context{scenario.model, scenario.parallelism, scenario.recipe, scenario.routing, 1, 4096,
                               std::get<TrainWorkload>(scenario.workload)};
  for (auto _ : state) benchmark::DoNotOptimize(step_cost(layer_forward(context, scenario.model.kinds[0]), machine).makespan);
}
BENCHMARK(layer_built_and_priced);

void training_step(benchmark::State& state) {
  const Scenario scenario = step("qwen3-235b-a22b", "h100-sxm", 256, state.range(0));
  const Calibration fits = calibration(scenario);
  for (auto _ : state) benchmark::DoNotOptimize(evaluate(scenario, fits));
}
BENCHMARK(training_step)->Arg(2048)->Arg(16384);

}  // namespace
}  // namespace moeline
