// Transformer Engine's own table of products: four linear layers, 15,872 tokens, with and without quantisation in the
// step.
#include <fmt/format.h>

#include <array>

#include "gpu/gemm.hpp"
#include "reports/anchor_machines.hpp"

namespace moeline {
namespace {

constexpr const char* kSource = "NVIDIA/TransformerEngine docs/examples/gemm_profiling/gemm_profiling.rst, Apache-2.0";
constexpr double kTokens = 15872;
struct Layer {
  const char* name;
  double out, in;
};
constexpr std::array kLayers{Layer{"QKV", 12288, 4096}, Layer{"attention out", 4096, 4096},
                             Layer{"MLP up", 16384, 4096}, Layer{"MLP down", 4096, 16384}};
enum Pass { fprop, dgrad, wgrad };
constexpr std::array kPasses{"Fprop", "Dgrad", "Wgrad"};

struct Precision {
  const char* name;
  DType type;
  bool maximum;   // the tensor is read once more for its largest value
  bool relayout;  // scales are swizzled by a kernel of their own
};
constexpr Precision kBf16{"BF16", DType::bf16, false, false}, kCurrent{"FP8 current", DType::fp8, true, false},
    kDelayed{"FP8 delayed", DType::fp8, false, false}, kMxfp8{"MXFP8", DType::mxfp8, false, true},
    kNvfp4{"NVFP4", DType::nvfp4, true, true}, kBlock{"FP8 block 128", DType::fp8_block, false, false};

struct Bench {
  AnchorMachine machine;

  double product(const Layer& l, Pass pass, DType type) const {
    const double m = pass == wgrad ? l.out : kTokens;
    const double n = pass == fprop ? l.out : l.in;
    const double k = pass == fprop ? l.in : pass == dgrad ? l.out : kTokens;
    const Gemm gemm{.m = m, .n = n, .k = k, .operands = type};
    const Machine device = machine.machine();
    return gemm_terms(gemm, device.gpu, adapted(gemm, device)).time.in(millisecond);
  }
  double quantise(double elements, const Precision& p) const {
    if (p.type == DType::bf16) return 0;
    double sum = machine.seconds(Quantize{.elements = elements, .to = p.type, .read = p.maximum ? 4.0 : 2.0});
    if (p.relayout) sum += machine.seconds(Relayout{elements, p.type, Kernels::te, false});
    return 1e3 * sum;
  }
  double layer(const Layer& l, Pass pass, const Precision& p, bool quantising) const {
    const double x = kTokens * l.in, w = l.out * l.in, y = kTokens * l.out;
    double time = product(l, pass, p.type);
    if (quantising) time += quantise(pass == wgrad ? x : w, p) + quantise(pass == fprop ? x : y, p);
    return time;
  }
  double all(Pass pass, const Precision& p, bool quantising) const {
    double sum = 0;
    for (const Layer& l : kLayers) sum += layer(l, pass, p, quantising);
    return sum;
  }
};

void add_column(std::vector<Anchor>& list, const std::string& device, const Bench& bench, const Precision& p,
                bool quantising, const std::array<double, 4>& ms, bool input = false) {
  const std::string table =
      "Transformer Engine, " + device + (quantising ? ", quantising in the step" : ", pre-quantised");
  double total = 0;
  for (const Pass pass : {fprop, dgrad, wgrad}) {
    const double predicted = bench.all(pass, p, quantising);
    total += predicted;
    if (ms[pass] <= 0) continue;
    list.push_back({table, fmt::format("{}, {}", p.name, kPasses[pass]), ms[pass], predicted, "ms",
                    input && pass == fprop, 0.10, kSource});
  }
  list.push_back({table, fmt::format("{}, total", p.name), ms[3], total, "ms", false, 0.10, kSource});
}

void add_b300(std::vector<Anchor>& list) {
  const Bench b300{AnchorMachine("b300-sxm")};
  add_column(list, "B300", b300, kBf16, true, {4.196, 4.290, 4.272, 12.758}, true);
  add_column(list, "B300", b300, kCurrent, true, {2.879, 3.063, 3.205, 9.147});
  add_column(list, "B300", b300, kDelayed, true, {2.486, 2.621, 2.695, 7.802});
  add_column(list, "B300", b300, kMxfp8, true, {2.847, 3.045, 3.092, 8.984});
  add_column(list, "B300", b300, kNvfp4, true, {1.932, 2.189, 2.331, 6.453});
  add_column(list, "B300", b300, kBf16, false, {4.250, 4.434, 4.418, 13.102});
  add_column(list, "B300", b300, kCurrent, false, {2.158, 2.329, 2.325, 6.812});
  add_column(list, "B300", b300, kMxfp8, false, {2.365, 2.397, 2.400, 7.161});
  add_column(list, "B300", b300, kNvfp4, false, {1.254, 1.305, 1.205, 3.764});
  const std::array<std::array<double, 5>, 4> cells{{{1.071, 0.605, 0.503, 0.579, 0.392},
                                                    {0.307, 0.317, 0.231, 0.269, 0.256},
                                                    {1.393, 0.924, 0.850, 0.924, 0.635},
                                                    {1.426, 1.033, 0.901, 1.076, 0.649}}};
  const std::array precisions{kBf16, kCurrent, kDelayed, kMxfp8, kNvfp4};
  for (std::size_t i = 0; i < kLayers.size(); ++i) {
    for (std::size_t j = 0; j < precisions.size(); ++j) {
      list.push_back({"Transformer Engine, B300, Fprop by layer",
                      fmt::format("{}, {}", kLayers[i].name, precisions[j].name), cells[i][j],
                      b300.layer(kLayers[i], fprop, precisions[j], true), "ms", false, 0.10, kSource});
    }
  }
}

void add_h200(std::vector<Anchor>& list) {
  Bench nvl{AnchorMachine("h200-sxm")};
  nvl.machine.scale_peaks(835.5 / 989.4);  // H200 NVL datasheet over SXM: its clock
  add_column(list, "H200 NVL", nvl, kBf16, true, {10.653, 10.813, 10.548, 32.014});
  add_column(list, "H200 NVL", nvl, kCurrent, true, {6.503, 6.795, 6.987, 20.285});
  add_column(list, "H200 NVL", nvl, kDelayed, true, {6.188, 6.306, 6.484, 18.978});
  add_column(list, "H200 NVL", nvl, kBlock, true, {7.425, 7.636, 7.821, 22.882});
  add_column(list, "H200 NVL", nvl, kBf16, false, {0, 0, 0, 31.968});
  add_column(list, "H200 NVL", nvl, kCurrent, false, {0, 0, 0, 16.785});
}

}  // namespace

void add_te_anchors(std::vector<Anchor>& list) {
  add_b300(list);
  add_h200(list);
}

}  // namespace moeline
