// Scales, quantisers and grouped products, one kernel at a time.
#include <fmt/format.h>

#include <array>

#include "reports/anchor_machines.hpp"

namespace moeline {
namespace {

constexpr const char* kPost = "cursor.com/blog/kernels, 2025-08";
constexpr const char* kReadme = "pytorch/ao torchao/prototype/moe_training/README.md, BSD-3, B200 1000 W";

void add_rescale(std::vector<Anchor>& list) {
  const auto ratio = [](double tensor, double vector) {
    return rescale_ratio(tensor * teraflop_per_second, vector * teraflop_per_second, 32);
  };
  list.push_back(
      {"software rescale over matmul", "H100, blocks of 32", 1.03, ratio(1979, 60), "x", false, 0.005, kPost});
  list.push_back(
      {"software rescale over matmul", "B200, blocks of 32", 1.76, ratio(4500, 80), "x", false, 0.005, kPost});
}

// Worked example: M 131,072, K 7,168, N 2,048 (inferred, fits all its figures), 6.5 TB/s, 3,300 TFLOP/s as given.
void add_example(std::vector<Anchor>& list) {
  const double m = 131072, k = 7168, n = 2048, elements = m * k + n * k;
  const Bytes moved = bytes(DType::bf16, elements) + bytes(DType::mxfp8, elements);
  const double pass = moved.in(gigabyte) / 6.5, product = 2 * m * n * k / 3300e9;
  const char* table = "quantising both operands, worked example";
  list.push_back({table, "bytes moved", 2.9, moved.in(gigabyte), "GB", false, 0.01, kPost});
  list.push_back({table, "time at 6.5 TB/s", 0.44, pass, "ms", false, 0.02, kPost});
  list.push_back({table, "forward, share of the product", 38, 100 * pass / product, "%", false, 0.02, kPost});
  list.push_back({table, "and transposed, share of the product", 76, 200 * pass / product, "%", false, 0.02, kPost});
}

struct Shape {
  const char* name;
  double m, n, k, groups;
  double bf16_us, mxfp8_us;
};
constexpr std::array kGrouped{Shape{"Llama 4 Scout, 1 group", 128000, 8192, 5120, 1, 43140, 23867},
                              Shape{"Llama 4 Scout, 2 groups", 128000, 8192, 5120, 2, 39487.6, 23359},
                              Shape{"Llama 4 Scout, 4 groups", 128000, 8192, 5120, 4, 39189.2, 23945.5},
                              Shape{"Llama 4 Scout, 8 groups", 128000, 8192, 5120, 8, 37700.7, 22170.6},
                              Shape{"DeepSeek-V3, 1 group", 128000, 2048, 7168, 1, 13064.8, 10996},
                              Shape{"DeepSeek-V3, 2 groups", 128000, 2048, 7168, 2, 14900.2, 11283.4},
                              Shape{"DeepSeek-V3, 4 groups", 128000, 2048, 7168, 4, 15823.6, 9919.4},
                              Shape{"DeepSeek-V3, 8 groups", 128000, 2048, 7168, 8, 14966.8, 10397.2}};

Quantize quantiser(double elements, bool columns) {
  return {.elements = elements, .to = DType::mxfp8, .kernels = Kernels::torchao, .columns = columns};
}
Relayout relayout(double elements, bool along_groups) {
  return {elements, DType::mxfp8, Kernels::torchao, along_groups};
}
GroupedGemm product(double groups, double m, double n, double k, DType type, bool wgrad = false) {
  return {.groups = groups, .m = m, .n = n, .k = k, .operands = type, .kernels = Kernels::torchao, .wgrad = wgrad};
}

void add_torchao_kernels(std::vector<Anchor>& list, const AnchorMachine& b200) {
  const double rows = 131072, k = 7168, n = 2048, g = 8, x = rows * k, y = rows * n, w = g * n * k;
  const char* table = "TorchAO kernels, DeepSeek-V3 shape";
  const auto add = [&](const char* name, double us, const Work& work, bool input = false, double target = 0.10) {
    list.push_back({table, name, us, 1e6 * b200.seconds(work), "us", input, target, kReadme});
  };
  add("forward: quantise A", 525.3, quantiser(x, false));
  add("forward: quantise W", 65.4, quantiser(w, false));
  add("forward: grouped GEMM", 1671.2, product(g, rows / g, n, k, DType::mxfp8));
  add("dgrad: quantise dY", 144.4, quantiser(y, false));
  add("dgrad: quantise W", 70.7, quantiser(w, false));
  add("dgrad: grouped GEMM", 1683.4, product(g, rows / g, k, n, DType::mxfp8));
  add("wgrad: quantise dY transposed", 141.5, quantiser(y, true));
  add("wgrad: quantise A transposed", 472.2, quantiser(x, true));
  add("wgrad: grouped GEMM (its ratio to forward)", 2103.3, product(g, n, k, rows / g, DType::mxfp8, true), true);
  const char* scales = "TorchAO scale relayouts, DeepSeek-V3 shape";
  table = scales;
  add("forward: A", 29.7, relayout(x, false), true);
  add("forward: W", 13.3, relayout(w, false), true);
  add("dgrad: dY", 19.4, relayout(y, false), false, 0.20);
  add("dgrad: W", 12.9, relayout(w, false));
  add("wgrad: dY transposed", 199.8, relayout(y, true), true);
  add("wgrad: A transposed", 207.9, relayout(x, true));
}

// mse_loss and its gradient around the product: output and target in, differences out and in; in, in, gradient out.
double loss(double elements, const AnchorMachine& machine) {
  return machine.seconds(Elementwise{bytes(DType::bf16, 5 * elements), bytes(DType::bf16, 2 * elements)});
}

void add_torchao_grouped(std::vector<Anchor>& list, const AnchorMachine& b200) {
  for (const Shape& s : kGrouped) {
    const GroupedLinear linear{s.m, s.n, s.k, s.groups};
    const double around = loss(s.m * s.n, b200);
    const double mxfp8 = torchao_seconds(linear, DType::mxfp8, b200) + around;
    const double bf16 = torchao_seconds(linear, DType::bf16, b200) + around;
    const std::string name = s.name;
    list.push_back({"TorchAO grouped GEMM, forward and backward", name + ", MXFP8", s.mxfp8_us, 1e6 * mxfp8, "us",
                    s.groups == 1 && s.k > 6000, 0.12, kReadme});
    list.push_back({"TorchAO grouped GEMM, forward and backward", name + ", BF16", s.bf16_us, 1e6 * bf16, "us",
                    s.groups == 2 && s.k < 6000, 0.12, kReadme});
    list.push_back({"TorchAO grouped GEMM, forward and backward", name + ", speed-up", s.bf16_us / s.mxfp8_us,
                    bf16 / mxfp8, "x", false, 0.12, kReadme});
  }
}

}  // namespace

// The release behind the grouped table and the layer times took longer than its later per-kernel times add up to, by a
// time that depends on neither width: put down to the relayout of columns of grouped rows, and read off one row of
// eight.
constexpr double kEarlierRelayout = 1.85e-3;

double torchao_seconds(const GroupedLinear& l, DType type, const AnchorMachine& machine) {
  const double each = l.rows / l.groups;
  double sum = machine.seconds(product(l.groups, each, l.out, l.in, type)) +
               machine.seconds(product(l.groups, each, l.in, l.out, type)) +
               machine.seconds(product(l.groups, l.out, l.in, each, type, true));
  if (type != DType::mxfp8) return sum;
  const double x = l.rows * l.in, y = l.rows * l.out, w = l.groups * l.out * l.in;
  for (const double elements : {x, w, y, w}) {
    sum += machine.seconds(quantiser(elements, false)) + machine.seconds(relayout(elements, false));
  }
  for (const double elements : {y, x}) sum += machine.seconds(quantiser(elements, true)) + kEarlierRelayout;
  return sum;
}

void add_kernel_anchors(std::vector<Anchor>& list) {
  const AnchorMachine b200("b200-sxm");
  add_rescale(list);
  add_example(list);
  add_torchao_kernels(list, b200);
  add_torchao_grouped(list, b200);
}

}  // namespace moeline
