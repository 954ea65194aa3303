#include "net/framework_all_reduce.hpp"

namespace moeline {
namespace {

FrameworkAllReduceTerms terms_of(AllReduceKernel kernel, const FrameworkAllReduce& c,
                                 const FrameworkAllReduceFit& fit) {
  const Seconds peers = fit.hop * (c.ranks - 1);
  FrameworkAllReduceTerms terms{.kernel = kernel};
  switch (kernel) {
    case AllReduceKernel::one_shot:
      terms.fixed = fit.one_launch + peers;
      terms.transfer = max(c.bytes * (c.ranks - 1) / (fit.one_link * c.link), c.bytes * fit.walk);
      break;
    case AllReduceKernel::two_shot:
      terms.fixed = fit.two_launch + peers;
      terms.transfer =
          max(c.bytes * (2 * (c.ranks - 1) / c.ranks) / (fit.two_link * c.link), c.bytes * (2 / c.ranks) * fit.walk);
      break;
    case AllReduceKernel::in_switch:
      terms.fixed = fit.switch_launch + peers;
      terms.transfer = c.bytes * ((c.ranks + 1) / c.ranks) / (fit.switch_link * c.link);
      break;
  }
  terms.time = terms.fixed + terms.transfer;
  return terms;
}

// vLLM's custom kernels end here; its symmetric-memory kernels follow.
Bytes vllm_custom(const FrameworkAllReduce& c) {
  if (c.blackwell) return (c.ranks <= 4 ? 2 : 1) * mebibyte;
  return (c.ranks <= 2 ? 64.0 : c.ranks <= 4 ? 32.0 : c.ranks <= 6 ? 0.5 : 0.25) * mebibyte;
}

// Symmetric memory reduces in the switch from 4 ranks on (Hopper) or 6 (Blackwell), else in two shots.
AllReduceKernel vllm_kernel(const FrameworkAllReduce& c) {
  if (c.bytes >= vllm_custom(c) && (c.blackwell || c.ranks > 4)) {
    return c.ranks >= (c.blackwell ? 6 : 4) ? AllReduceKernel::in_switch : AllReduceKernel::two_shot;
  }
  const Bytes one_shot = (c.ranks <= 4 ? 512 : 256) * kibibyte;
  return c.ranks <= 2 || c.bytes < one_shot ? AllReduceKernel::one_shot : AllReduceKernel::two_shot;
}

}  // namespace

Bytes largest(const FrameworkAllReduce& c) {
  if (c.library == AllReduceLibrary::trtllm) return (c.ranks <= 2 ? 16 : 8) * megabyte;
  if (c.library == AllReduceLibrary::sglang) return 16 * mebibyte;
  if (c.ranks > 4) return (c.blackwell ? 128 : 64) * mebibyte;
  return (c.ranks > 2 ? 32 : c.blackwell ? 8 : 64) * mebibyte;
}

FrameworkAllReduceTerms framework_all_reduce_terms(const FrameworkAllReduce& c, const FrameworkAllReduceFit& fit) {
  if (c.ranks <= 1) return {};
  if (c.library == AllReduceLibrary::vllm) return terms_of(vllm_kernel(c), c, fit);
  const FrameworkAllReduceTerms one = terms_of(AllReduceKernel::one_shot, c, fit);
  const FrameworkAllReduceTerms two = terms_of(AllReduceKernel::two_shot, c, fit);
  return one.time <= two.time ? one : two;
}

OpCost cost(const FrameworkAllReduce& c, const FrameworkAllReduceFit& fit) {
  const FrameworkAllReduceTerms terms = framework_all_reduce_terms(c, fit);
  OpCost cost;
  cost.bytes = c.ranks > 1 ? c.bytes : Bytes{};
  cost.time = terms.time;
  cost.bound_by = terms.transfer >= terms.fixed ? "NVLink" : "latency";
  cost.spread = fit.spread.at(cost.time);
  cost.source = fit.source;
  return cost;
}

}  // namespace moeline
