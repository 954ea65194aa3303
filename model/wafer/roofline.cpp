#include "wafer/roofline.hpp"

#include <algorithm>

#include "error.hpp"

namespace moeline {
namespace {

// Backward of attention has five products where forward has two: scores are computed again.
constexpr double kBackwardProducts = 2.5;
// Tokens of one chunk of the delta rule, as on GPUs.
constexpr double kChunk = 64;

// Pairs (query, key) that a causal mask or a window leaves, per head and sequence.
double pairs(const AttentionCore& a) {
  if (a.window > 0 && a.window < a.keys) {
    return a.chunked ? a.window * a.keys / 2 : a.window * a.keys - a.window * a.window / 2;
  }
  return a.causal ? a.queries * a.keys / 2 : a.queries * a.keys;
}

struct Visitor {
  const CoreArray& array;

  OpCost product(Flops flops, Bytes operands) const {
    return {.flops = flops,
            .bytes = operands,
            .time = flops / array.rate(),
            .bound_by = "cores",
            .source = Source::assumed};
  }
  OpCost pass(Bytes moved) const {
    return {
        .bytes = moved, .time = moved / array.wafer.sram_bandwidth.value, .bound_by = "SRAM", .source = Source::bound};
  }

  OpCost operator()(const Gemm& w) const {
    return product(2 * w.m * w.n * w.k * flop, bytes(w.operands, w.m * w.k + w.k * w.n) + bytes(w.output, w.m * w.n));
  }
  OpCost operator()(const GroupedGemm& w) const {
    return product(2 * w.groups * w.m * w.n * w.k * flop,
                   w.groups * (bytes(w.operands, w.m * w.k + w.k * w.n) + bytes(w.output, w.m * w.n)));
  }
  OpCost operator()(const AttentionCore& w) const {
    const double products = w.backward ? kBackwardProducts : 1;
    const double elements = w.sequences * w.keys * (w.heads + w.kv_heads) * (w.qk_dim + w.value_dim);
    return product(products * 2 * w.sequences * w.heads * pairs(w) * (w.qk_dim + w.value_dim) * flop,
                   bytes(DType::bf16, elements));
  }
  OpCost operator()(const StateScan& w) const {
    const double products = w.backward ? kBackwardProducts : 1;
    const double per_token = 4 * w.key_dim * w.value_dim + kChunk * (w.key_dim + w.value_dim);
    return product(products * 2 * w.tokens * w.heads * per_token * flop,
                   bytes(DType::bf16, w.tokens * w.heads * 2 * (w.key_dim + w.value_dim)));
  }
  OpCost operator()(const Elementwise& w) const { return pass(w.read + w.written); }
  OpCost operator()(const Permute& w) const { return pass(w.read + w.written); }
  OpCost operator()(const Quantize& w) const {
    return pass(bytes(DType::bf16, w.elements) + w.copies * bytes(w.to, w.elements));
  }
  OpCost operator()(const Relayout& w) const { return pass(2 * bytes(w.type, w.elements)); }
  OpCost operator()(const FusedExperts& w) const {  // the same products; there is nothing to exchange
    const double products = (w.backward ? 2 : 1) * 3 * w.tokens * w.top_k * w.hidden * w.width;
    return product(2 * products * flop, bytes(DType::bf16, 3 * w.experts * w.hidden * w.width));
  }
  OpCost operator()(const Collective&) const { return nothing(); }
  OpCost operator()(const TokenExchange&) const { return nothing(); }
  OpCost operator()(const ServedReduce&) const { return nothing(); }
  OpCost operator()(const LowLatencyExchange&) const { return nothing(); }
  OpCost operator()(const DecodeAttention& w) const {
    const DecodeShape& s = w.shape;
    const double elements = s.sequences * s.keys * s.kv_heads * (s.latent ? s.qk_dim : s.qk_dim + s.value_dim);
    return product(2 * s.sequences * w.queries * s.heads * s.keys * (s.qk_dim + s.value_dim) * flop, bytes(s.cache, elements));
  }
  OpCost operator()(const ServedExperts& w) const {
    const double weights = (w.op.up_columns() + w.op.inter) * w.op.hidden;
    return product(2 * w.load.rows * weights * flop, w.load.hit * weights * w.op.weight_bits / 8 * byte);
  }
  OpCost nothing() const {
    MOELINE_EXPECT(!"a layer lives on one wafer");
    return {};
  }
};

}  // namespace

OpCost cost(const Work& work, const CoreArray& array) { return std::visit(Visitor{array}, work); }

bool is_free(const CoreArray& array, std::string_view group) {
  return std::find(array.free.begin(), array.free.end(), group) != array.free.end();
}

}  // namespace moeline
