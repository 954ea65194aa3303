// How many points of a sweep a second, evaluated and thrown away against written to a file as `moeline sweep --out`
// does? The ratio of the two is what streaming costs.
#include <benchmark/benchmark.h>

#include <cstdio>
#include <filesystem>

#include "engine/in_order.hpp"
#include "engine/sweep_run.hpp"
#include "reports/sweep_rows.hpp"

namespace moeline {
namespace {

// Layers cost least to evaluate, so that writing weighs most.
Sweep random_lengths(const char* kind, std::uint64_t points) {
  return read_sweep(
      Json{{"scenario",
            {{"model", "qwen3-30b-a3b"}, {"hardware", "h200-sxm"}, {"devices", 64}, {"workload", {{"kind", kind}}}}},
           {"vary",
            {{"/parallelism/ep", {1, 2, 4, 8, 16, 32, 64}},
             {"/workload/sequence", {{"from", 512}, {"to", 8192}, {"scale", "log"}}}}},
           {"mode", {{"random", points}}}},
      "benchmark");
}

// 2 x 3 x 4 x 4 x 200 points, all different and all of DeepSeek-V3.
Sweep grid_of_deepseek_v3() {
  return read_sweep(Json{{"scenario",
                          {{"model", "deepseek-v3"},
                           {"hardware", "gb200-nvl72"},
                           {"devices", 1024},
                           {"recipe", "mxfp8"},
                           {"workload", {{"kind", "train"}, {"recompute", "full"}}}}},
                         {"vary",
                          {{"/parallelism/ep", {32, 64}},
                           {"/workload/micro_batch", {1, 2, 4}},
                           {"/parallelism/pp", {2, 4, 8, 16}},
                           {"/parallelism/zero", {0, 1, 2, 3}},
                           {"/workload/global_batch", "4096..819200+4096"}}}},
                    "benchmark");
}

void points_evaluated(benchmark::State& state, const Sweep& sweep) {
  const PointReader reader(sweep, "benchmark");
  const std::uint64_t points = sweep.points();
  for (auto _ : state) {
    in_order(
        0, points, threads_of_this_machine(), [&](std::uint64_t number) { return reader.point(number); },
        [](std::uint64_t, const Point& point) {
          benchmark::DoNotOptimize(point.feasible);
          return true;
        });
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(points));
}
BENCHMARK_CAPTURE(points_evaluated, layer, random_lengths("layer", 100000))->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(points_evaluated, train, random_lengths("train", 20000))->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(points_evaluated, deepseek_v3, grid_of_deepseek_v3())->UseRealTime()->Unit(benchmark::kMillisecond);

void points_streamed(benchmark::State& state, const Sweep& all) {
  const std::uint64_t points = all.points();
  const PointReader reader(all, "benchmark");
  const SweepSettings settings{.threads = threads_of_this_machine(), .progress = false};
  const std::string path = std::filesystem::temp_directory_path() / "moeline_benchmark.csv";
  for (auto _ : state) {
    std::remove(path.c_str());
    std::remove((path + ".progress").c_str());
    RowFile file(path, reader.fingerprint("benchmark"));
    run_sweep(all, reader, settings, sweep_csv_header(reader.columns()), sweep_csv_row, &file, nullptr);
  }
  std::remove(path.c_str());
  std::remove((path + ".progress").c_str());
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(points));
}
BENCHMARK_CAPTURE(points_streamed, layer, random_lengths("layer", 100000))->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(points_streamed, train, random_lengths("train", 20000))->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(points_streamed, deepseek_v3, grid_of_deepseek_v3())->UseRealTime()->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace moeline
