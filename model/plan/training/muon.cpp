#include "plan/training/muon.hpp"

#include <algorithm>

namespace moeline {
namespace {

constexpr double kIterations = 5;

// Products of one iteration on m x n, m <= n; `count` matrices of that shape.
void add_matrix(OpCost& sum, double m, double n, double count, const Machine& machine) {
  if (m > n) std::swap(m, n);
  for (const Gemm& product : {Gemm{.m = m, .n = m, .k = n}, Gemm{.m = m, .n = m, .k = m}, Gemm{.m = m, .n = n, .k = m}}) {
    const OpCost one = cost(Work(product), machine);
    sum.time += kIterations * count * one.time;
    sum.flops += kIterations * count * one.flops;
    sum.bytes += kIterations * count * one.bytes;
    sum.bound_by = one.bound_by;
    sum.source = weakest(sum.source, one.source);
    sum.spread = std::max(sum.spread, one.spread);
  }
}

}  // namespace

OpCost newton_schulz(const DecoderContext& c, const StageContent& stage, double share, const Machine& machine) {
  OpCost sum{.source = Source::measured};
  for (std::size_t kind = 0; kind < stage.layers_of_kind.size(); ++kind) {
    const double layers = stage.layers_of_kind[kind] * share;
    if (layers <= 0) continue;
    for (const Op& op : layer_backward(c, c.model.kinds[kind])) {  // every weight has one product that adds to its gradient
      if (const Gemm* product = std::get_if<Gemm>(&op.work); product != nullptr && product->accumulate) {
        add_matrix(sum, product->m, product->n, layers, machine);
      }
      if (const GroupedGemm* product = std::get_if<GroupedGemm>(&op.work); product != nullptr && product->wgrad) {
        add_matrix(sum, product->m, product->n, layers * product->groups, machine);
      }
    }
  }
  return sum;
}

}  // namespace moeline
