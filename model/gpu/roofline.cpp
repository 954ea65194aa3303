#include "gpu/roofline.hpp"

#include "gpu/attention.hpp"
#include "gpu/gemm.hpp"
#include "gpu/megakernel.hpp"
#include "gpu/quantise.hpp"
#include "gpu/serving.hpp"
#include "net/collectives.hpp"

namespace moeline {
namespace {

// Backward runs about five products where forward has two.
constexpr double kBackwardProducts = 2.5;
// Grouped products fitted on their own err by 14 % held out (108 of Transformer Engine on B200, docs/accuracy.md), about
// twice the dense family whose parameters price them.
constexpr double kGroupedWidening = 2;
// Tokens of one chunk of the delta rule; inside a chunk it is quadratic. Size used by the published kernels.
constexpr double kChunk = 64;

OpCost streamed(Bytes bytes, const Machine& machine) {
  const MemoryFit& fit = machine.calibration.memory;
  const Seconds transfer = bytes / (fit.memory * machine.gpu.hbm_bandwidth.value);
  return {.bytes = bytes, .time = fit.launch + transfer, .spread = fit.spread.at(fit.launch + transfer),
          .bound_by = fit.launch > transfer ? "launch" : "HBM", .source = fit.source};
}

}  // namespace

double attended_pairs(const AttentionCore& a) {
  const double share = a.keys > 0 ? a.queries / a.keys : 0;  // context parallelism balances the triangle
  if (a.window > 0 && a.window < a.keys) {
    return share * (a.chunked ? a.window * a.keys / 2 : a.window * a.keys - a.window * a.window / 2);
  }
  return a.causal ? a.queries * a.keys / 2 : a.queries * a.keys;
}

OpCost cost(const AttentionCore& a, const Machine& machine) {
  // Heads whose keys are wider than their values are latent attention, expanded: kernels of their own.
  const bool latent = a.qk_dim > a.value_dim;
  return attention_cost(a, machine.gpu, latent ? machine.calibration.latent_attention : machine.calibration.attention);
}

ScanTerms scan_terms(const StateScan& s, const Machine& machine) {
  const ScanFit& fit = machine.calibration.scan;
  const double products = s.backward ? kBackwardProducts : 1;
  const double per_token = 4 * s.key_dim * s.value_dim + kChunk * (s.key_dim + s.value_dim);
  ScanTerms t{.flops = products * 2 * s.tokens * s.heads * per_token * flop,
              .bytes = moeline::bytes(DType::bf16, s.tokens * s.heads * 2 * (s.key_dim + s.value_dim)) * (s.backward ? 2 : 1)};
  t.tensor = t.flops / (fit.tensor * machine.gpu.dense_peak.bf16->value);
  t.memory = t.bytes / (fit.memory * machine.gpu.hbm_bandwidth.value);
  return t;
}

OpCost cost(const StateScan& s, const Machine& machine) {
  const ScanFit& fit = machine.calibration.scan;
  const ScanTerms t = scan_terms(s, machine);
  const Seconds time = fit.launch + max(t.tensor, t.memory);
  return {.flops = t.flops, .bytes = t.bytes, .time = time, .spread = fit.spread.at(time),
          .bound_by = t.tensor > t.memory ? "tensor" : "HBM", .source = fit.source};
}

OpCost cost(const Elementwise& pass, const Machine& machine) { return streamed(pass.read + pass.written, machine); }
OpCost cost(const Permute& pass, const Machine& machine) { return streamed(pass.read + pass.written, machine); }

namespace {

OpCost searched(const Gemm& product, const Machine& machine) { return cost(product, machine.gpu, adapted(product, machine)); }
OpCost searched(const GroupedGemm& product, const Machine& machine) {
  if (const GemmFit* measured = machine.calibration.grouped(product.operands)) return cost(product, machine.gpu, *measured);
  // The dense family's parameters over the grouped tiles, plus what each expert costs.
  OpCost grouped = cost(product, machine.gpu, adapted(product, machine));
  if (grouped.source < Source::extrapolated) grouped.source = Source::extrapolated;
  grouped.spread *= kGroupedWidening;
  return grouped;
}

OpCost searched(const Collective& collective, const Machine& machine) { return cost(collective, machine.fabric, machine.calibration); }

template <class Asked>
OpCost remembered(const Asked& work, const Machine& machine) {
  if (machine.memo == nullptr) return searched(work, machine);
  return machine.memo->cost(work, [&](const Asked& asked) { return searched(asked, machine); });
}

}  // namespace

OpCost cost(const Collective& collective, const Machine& machine) { return remembered(collective, machine); }

OpCost cost(const Work& work, const Machine& machine) {
  struct Visitor {
    const Machine& machine;
    OpCost operator()(const Gemm& w) const { return remembered(w, machine); }
    OpCost operator()(const GroupedGemm& w) const { return remembered(w, machine); }
    OpCost operator()(const Collective& w) const { return remembered(w, machine); }
    OpCost operator()(const TokenExchange& w) const { return cost(w, machine.fabric, machine.calibration); }
    OpCost operator()(const AttentionCore& w) const { return cost(w, machine); }
    OpCost operator()(const StateScan& w) const { return cost(w, machine); }
    OpCost operator()(const Elementwise& w) const { return cost(w, machine); }
    OpCost operator()(const Quantize& w) const { return cost(w, machine); }
    OpCost operator()(const Relayout& w) const { return cost(w, machine); }
    OpCost operator()(const FusedExperts& w) const { return cost(w, machine); }
    OpCost operator()(const Permute& w) const { return cost(w, machine); }
    OpCost operator()(const DecodeAttention& w) const { return cost(w, machine); }
    OpCost operator()(const ServedExperts& w) const { return cost(w, machine); }
    OpCost operator()(const ServedReduce& w) const { return cost(w, machine); }
    OpCost operator()(const LowLatencyExchange& w) const { return cost(w, machine); }
  };
  return std::visit(Visitor{machine}, work);
}

}  // namespace moeline
