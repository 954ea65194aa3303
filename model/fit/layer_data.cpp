#include "fit/layer_data.hpp"

#include <cmath>

#include "fit/family_builder.hpp"
#include "fit/gemm_data.hpp"
#include "gpu/gemm.hpp"

namespace moeline {
namespace {

enum At : std::size_t { host, launch, memory, l2_speed, row_rate };

constexpr double kBytes = 2;                        // of one element
constexpr double kRepeats = 10;                     // of a timed kernel; not stated by either source
constexpr double kLongRow = 8192;                   // elements of a row that one block keeps between passes
constexpr double kPasses = 3;                       // maximum or mean, sum, result
constexpr double kL2Share = 0.7, kL2Sharpness = 4;  // what fits L2, and how sharply: as in gpu/attention

constexpr double kRounded = 5;  // microseconds below which vidur's whole microseconds round by over 10 %

std::vector<Parameter> pass_parameters() {
  return {{"host", "us", 6, 0.5, 100},
          {"launch", "us", 3, 0.2, 80},
          {"memory", "of HBM", 0.7, 0.1, 1.0},
          {"l2_speed", "of HBM", 1.5, 1, 6},
          {"row_rate", "GB/s of one block", 20, 2, 1000}};
}

struct Pass {
  double bytes, row;  // of all rows; of one, or 0 when rows do not matter
};

double max4(double a, double b) { return std::pow(std::pow(a, 4) + std::pow(b, 4), 0.25); }

double pass_us(const MeasuredRows<Pass>& f, const std::vector<double>& v, const Pass& pass) {
  const double filled = pass.bytes / (kL2Share * f.gpu.l2_capacity.value.in(byte));
  const double hit = 1 / (1 + std::pow(filled, kL2Sharpness));
  const double transfer = pass.bytes / (v[At::memory] * f.gpu.hbm_bandwidth.value.in(byte_per_second)) * 1e6;
  const double walk = pass.row / v[At::row_rate] * 1e-3;  // bytes / (GB/s) in us
  return max4(v[At::host], v[At::launch] + max4(walk, transfer * (1 - hit + hit / v[At::l2_speed])));
}

// One copy of weight and activation, run back to back.
double gemm_us(const MeasuredRows<Gemm>& f, const std::vector<double>& v, const Gemm& g) {
  const GemmFit fit = gemm_fit(f.key, v);
  const double usable = fit.resident * f.gpu.l2_capacity.value.in(byte);
  const double loop = kRepeats * 2 * g.m * g.n * g.k / f.gpu.dense_peak.bf16->value.in(flop_per_second);
  const double set = kBytes * (g.m * g.k + g.n * g.k + g.m * g.n);
  const GemmConditions conditions{.miss = std::clamp((set - usable / 2) / usable, 0.0, 1.0),
                                  .sustained = std::clamp(std::log10(loop / 5e-3) / 1.5, 0.0, 1.0)};
  return gemm_terms(g, f.gpu, fit, conditions).time.in(microsecond);
}

std::string gemm_domain(const std::vector<Gemm>& rows) {
  return range("m", rows, [](const Gemm& g) { return g.m; }) + ", " +
         range("n", rows, [](const Gemm& g) { return g.n; }) + ", " +
         range("k", rows, [](const Gemm& g) { return g.k; });
}

std::string pass_domain(const std::vector<Pass>& rows) {
  return range("bytes", rows, [](const Pass& p) { return p.bytes; });
}

struct Families {
  std::string device, library;
  FamilyBuilder<Gemm> gemms;
  FamilyBuilder<Pass> passes;

  void add_gemm(double m, double n, double k, double t) {
    const FamilyKey key{device, "gemm", library, "float16"};
    gemms.data(key, device, gemm_parameters());
    gemms.add(key, {.m = m, .n = n, .k = k}, t, m, fmt::format("{}/{}", n, k));
  }
  FamilyData& pass(const std::string& kernel) { return passes.data(pass_key(kernel), device, pass_parameters()); }
  // Passes of equal bytes are one problem: they stay in one fold.
  void add_pass(const std::string& kernel, double rows, double row_elements, double t) {
    const double bytes = kBytes * rows * row_elements;
    pass(kernel);
    passes.add(pass_key(kernel), {bytes, kernel == "gelu" ? 0 : kBytes * row_elements}, t, bytes,
               fmt::format("{}", bytes));
  }
  FamilyKey pass_key(const std::string& kernel) const {
    return {device, "memory_pass", library + "-" + kernel, "float16"};
  }
  std::vector<FamilyData> finished() {
    std::vector<FamilyData> list;
    gemms.finish(list, gemm_us, gemm_domain);
    passes.finish(list, pass_us, pass_domain);
    return list;
  }
};

// Elements read and written by PyTorch's kernel on a row of n.
double pytorch_elements(std::string_view op, double n) {
  if (op == "softmax" || (op == "layernorm" && n > kLongRow)) return (kPasses + 1) * n;
  return 2 * n;
}

// Elements read and written by vLLM's kernel per token; none: not a pass of known traffic.
std::optional<double> vllm_elements(std::string_view op, double hidden, double heads, double kv_heads, double ffn,
                                    double tp) {
  if (op.ends_with("layernorm")) return 2 * hidden;
  if (op == "add") return 3 * hidden;
  if (op == "mlp_act") return 3 * ffn / tp;
  if (op == "attn_rope") return 2 * hidden / heads * (heads + kv_heads) / tp;
  return std::nullopt;
}

}  // namespace

double memory_pass_share(const std::vector<double>& values) { return values[At::memory]; }

bool is_llmcompass_csv(const Csv& csv) {
  return csv.has_all({"gpu", "op", "dtype", "m", "n", "k", "latency_us", "giga_elements_per_s"});
}
bool is_vidur_layer_csv(const Csv& csv) {
  return csv.has_all(
      {"gpu", "model", "op", "dtype", "num_tokens", "tp", "hidden", "q_heads", "kv_heads", "ffn", "latency_us"});
}

std::vector<FamilyData> llmcompass_families(const Csv& csv) {
  Families families{"a100-sxm", "pytorch", {}, {}};
  for (std::size_t i = 0; i < csv.rows(); ++i) {
    const std::string op(csv.text(i, "op"));
    const auto m = csv.number(i, "m"), n = csv.number(i, "n"), k = csv.number(i, "k"), t = csv.number(i, "latency_us");
    const auto rate = csv.number(i, "giga_elements_per_s");
    if (m && n && k && t && *t > 0)
      families.add_gemm(*m, *n, *k, *t);
    else if (op != "matmul" && m && n && rate && *rate > 0) {
      families.add_pass(op, *m, pytorch_elements(op, *n), *m * *n / *rate * 1e-3);  // elements / (1e9 / s) in us
    } else
      ++families.pass(op).skipped["missing value"];
  }
  return families.finished();
}

std::vector<FamilyData> vidur_layer_families(const Csv& csv) {
  Families families{"h100-sxm", "vllm", {}, {}};
  for (std::size_t i = 0; i < csv.rows(); ++i) {
    const std::string op(csv.text(i, "op"));
    const std::string kernel = op.ends_with("layernorm") ? "rmsnorm" : op;
    const auto m = csv.number(i, "m"), n = csv.number(i, "n"), k = csv.number(i, "k"), t = csv.number(i, "latency_us");
    const auto tokens = csv.number(i, "num_tokens"), tp = csv.number(i, "tp"), hidden = csv.number(i, "hidden");
    const auto heads = csv.number(i, "q_heads"), kv = csv.number(i, "kv_heads"), ffn = csv.number(i, "ffn");
    if (!tokens || !tp || !hidden || !heads || !kv || !ffn || !t || !(*t > 0))
      ++families.pass(kernel).skipped["missing value"];
    else if (m && n && k)
      families.add_gemm(*m, *n, *k, *t);
    else if (const auto elements = vllm_elements(op, *hidden, *heads, *kv, *ffn, *tp)) {
      if (*t < kRounded)
        ++families.pass(kernel).skipped["under 5 us, printed in whole microseconds"];
      else
        families.add_pass(kernel, *tokens, *elements, *t);
    } else
      ++families.pass(kernel).skipped["embedding: 12 us for 16 tokens and 4 for 32, several kernels"];
  }
  return families.finished();
}

}  // namespace moeline
