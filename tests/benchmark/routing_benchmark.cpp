// How long does quantile balancing of a million tokens by 256 experts take, from the file to the dual gap, and in how
// much memory? `peak_over_input`: the largest resident size of this process, over the bytes of the scores. And how fast
// does it converge?
#include <benchmark/benchmark.h>
#include <fmt/format.h>
#include <sys/resource.h>

#include <cstdio>
#include <filesystem>
#include <fstream>

#include "engine/route_run.hpp"
#include "engine/score_file.hpp"
#include "engine/sweep_run.hpp"
#include "normal_scores.hpp"

namespace moeline {
namespace {

void write_scores(const std::string& path, std::size_t tokens, std::size_t experts) {
  std::ofstream out(path, std::ios::binary);
  std::string header =
      fmt::format("{{'descr': '<f4', 'fortran_order': False, 'shape': ({}, {}), }}", tokens, experts);
  header += std::string(117 - header.size(), ' ') + '\n';  // values start at byte 128
  out << std::string("\x93NUMPY\x01\x00\x76\x00", 10) << header;
  Normals normals(1);
  std::vector<double> mean(experts);
  std::vector<float> row(experts);
  for (double& m : mean) m = normals.next();
  for (std::size_t i = 0; i < tokens; ++i) {  // row by row, so that the file is no part of the peak
    for (std::size_t j = 0; j < experts; ++j) row[j] = static_cast<float>(mean[j] + normals.next());
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

// How even does one batch become by 0 .. 10 alternations over it? Three sizes, a draw of each (0: one of many, whose largest
// mean decides); `published` is the draw of an independent simulation.
void quantile_convergence(benchmark::State& state) {
  const Convergence& c = kConvergence.at(static_cast<std::size_t>(state.range(0)));
  const std::vector<float> values = normal_scores(c.tokens, c.experts, 1);
  std::vector<double> found;
  for (auto _ : state) found = violations({values, c.experts, c.top_k}, 10);
  for (std::size_t t = 0; t < found.size(); ++t) state.counters[fmt::format("after_{:02}", t)] = found[t];
  for (std::size_t t = 0; t < c.first.size(); ++t) state.counters[fmt::format("after_{:02}_published", t)] = c.first[t];
  state.counters["after_10_published"] = c.tenth;
  state.SetLabel(fmt::format("{} tokens, top {} of {}", c.tokens, c.top_k, c.experts));
}
BENCHMARK(quantile_convergence)->DenseRange(0, 2)->Iterations(1)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace moeline
