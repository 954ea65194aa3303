// How long does quantile balancing of a million tokens by 256 experts take, from the file to the dual gap, and in how
// much memory? `peak_over_input`: the largest resident size of this process, over the bytes of the scores.
#include <benchmark/benchmark.h>
#include <fmt/format.h>
#include <sys/resource.h>

#include <cmath>
#include <cstdio>
#include <filesystem>
#include <fstream>

#include "engine/route_run.hpp"
#include "engine/score_file.hpp"
#include "engine/sweep_run.hpp"
#include "spec/popularity.hpp"

namespace moeline {
namespace {

float normal(Random& random) {
  return static_cast<float>(std::sqrt(-2 * std::log(1 - random.next())) * std::cos(2 * std::acos(-1.0) * random.next()));
}

// Scores N(mu_j, 1) with mu_j ~ N(0, 1), token by token.
void write_scores(const std::string& path, std::size_t tokens, std::size_t experts) {
  std::ofstream out(path, std::ios::binary);
  std::string header =
      fmt::format("{{'descr': '<f4', 'fortran_order': False, 'shape': ({}, {}), }}", tokens, experts);
  header += std::string(117 - header.size(), ' ') + '\n';  // values start at byte 128
  out << std::string("\x93NUMPY\x01\x00\x76\x00", 10) << header;
  Random random(1);
  std::vector<float> mean(experts), row(experts);
  for (float& m : mean) m = normal(random);
  for (std::size_t i = 0; i < tokens; ++i) {
    for (std::size_t j = 0; j < experts; ++j) row[j] = mean[j] + normal(random);
    out.write(reinterpret_cast<const char*>(row.data()), static_cast<std::streamsize>(4 * experts));
  }
}

void quantile_balancing(benchmark::State& state) {
  const std::string path = std::filesystem::temp_directory_path() / "moeline_benchmark.npy";
  write_scores(path, 1048576, 256);
  std::vector<BalancedLoads> rows;
  for (auto _ : state) {
    const ScoreFile file = read_scores(path);
    rows = balanced(RouterScores{file.values, file.experts, 8},
                    {.ranks = 32, .iterations = 5, .threads = threads_of_this_machine(), .only = Balancer::quantile});
  }
  std::remove(path.c_str());
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
  state.counters["dual_gap"] = *rows.at(0).dual_gap;
  state.counters["max_violation"] = rows.at(0).max_violation;
  state.counters["peak_over_input"] = 1024.0 * static_cast<double>(used.ru_maxrss) / (4.0 * 1048576 * 256);
}
BENCHMARK(quantile_balancing)->Iterations(1)->UseRealTime()->MeasureProcessCPUTime()->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace moeline
