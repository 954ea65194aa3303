// How many products a second? Searched afresh over the shapes of a layer, and remembered.
#include <benchmark/benchmark.h>

#include "fit/calibration_file.hpp"
#include "gpu/gemm.hpp"
#include "gpu/cost_memo.hpp"
#include "spec/catalogue.hpp"

namespace moeline {
namespace {

Cluster cluster(const std::string& name) {
  const Document profile = find_hardware(name, "benchmark");
  return read_cluster(profile.json, profile.origin);
}

// Projections of dense and expert models, decode to prefill: 8 token counts x 12 shapes.
std::vector<Gemm> shapes(DType operands) {
  std::vector<Gemm> list;
  for (const double m : {1.0, 8.0, 64.0, 256.0, 1024.0, 4096.0, 8192.0, 32768.0}) {
    for (const auto& [n, k] : {std::pair{1536.0, 7168.0},
                               {24576.0, 1536.0},
                               {576.0, 7168.0},
                               {7168.0, 16384.0},
                               {4096.0, 7168.0},
                               {7168.0, 2048.0},
                               {10240.0, 8192.0},
                               {8192.0, 8192.0},
                               {57344.0, 8192.0},
                               {8192.0, 28672.0},
                               {256.0, 7168.0},
                               {128256.0, 4096.0}}) {
      list.push_back({.m = m, .n = n, .k = k, .operands = operands});
    }
  }
  return list;
}

template <class Price>
void over_shapes(benchmark::State& state, const std::vector<Gemm>& list, Price price) {
  std::size_t i = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(price(list[i]));
    if (++i == list.size()) i = 0;
  }
  state.SetItemsProcessed(state.iterations());
}

void product_searched(benchmark::State& state, const char* device, DType operands) {
  const Cluster machine = cluster(device);
  const Calibration fits = calibration_named("auto", machine);
  const Gpu& gpu = std::get<Gpu>(machine.device);
  over_shapes(state, shapes(operands), [&](const Gemm& gemm) { return cost(gemm, gpu, fits.gemm(operands)); });
}
BENCHMARK_CAPTURE(product_searched, h200_bf16, "h200-sxm", DType::bf16);
BENCHMARK_CAPTURE(product_searched, b200_bf16, "b200-sxm", DType::bf16);
BENCHMARK_CAPTURE(product_searched, b200_fp8, "b200-sxm", DType::fp8);
BENCHMARK_CAPTURE(product_searched, h200_fp8_block, "h200-sxm", DType::fp8_block);

void product_remembered(benchmark::State& state) {
  const Cluster machine = cluster("h200-sxm");
  const Calibration fits = calibration_named("auto", machine);
  CostMemo memo;
  const auto search = [&](const Gemm& gemm) { return cost(gemm, std::get<Gpu>(machine.device), fits.gemm_bf16); };
  over_shapes(state, shapes(DType::bf16), [&](const Gemm& gemm) { return memo.cost(gemm, search); });
}
BENCHMARK(product_remembered);

}  // namespace
}  // namespace moeline
