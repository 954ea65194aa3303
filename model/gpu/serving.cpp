#include "gpu/serving.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "gpu/attention.hpp"
#include "gpu/moe_op.hpp"
#include "net/collectives.hpp"

namespace moeline {
namespace {

double real(std::int64_t value) { return static_cast<double>(value); }

const ServingFits& fits_of(const Machine& machine) {
  static const ServingFits kBounds{};
  return machine.calibration.serving != nullptr ? *machine.calibration.serving : kBounds;
}

// Formats whose pages may stand for one, nearest first.
struct Format {
  DType weights, activations;
  friend bool operator==(const Format&, const Format&) = default;
};
std::array<Format, 3> stand_ins(const Format& f) {
  using enum DType;
  if (f.weights == fp8_block || f.weights == mxfp8) return {{{fp8_block, fp8_block}, {fp8, fp8}, {bf16, bf16}}};
  if (f.weights == fp8) return {{{fp8, fp8}, {fp8_block, fp8_block}, {bf16, bf16}}};
  if (f.weights == nvfp4 || f.activations == mxfp4) return {{{nvfp4, nvfp4}, {mxfp4, mxfp8}, {mxfp4, bf16}}};
  if (f.weights == mxfp4 && f.activations == mxfp8) return {{{mxfp4, mxfp8}, {mxfp4, bf16}, {nvfp4, nvfp4}}};
  if (f.weights == mxfp4) return {{{mxfp4, bf16}, {mxfp4, mxfp8}, {bf16, bf16}}};
  return {{{bf16, bf16}, {bf16, bf16}, {bf16, bf16}}};
}

OpCost priced(const ServedExperts& e, const ExpertKernel& kernel, const Machine& machine) {
  OpCost c = cost(e.op, e.load, machine.gpu, kernel.fit);
  if (kernel.surface) {
    const std::array x{std::log2(std::max(1.0, e.load.tokens)), std::log2(std::max(1.0, weights_hit(e.op, e.load).in(byte))),
                       std::log2(e.op.inter)};
    c.time *= std::exp(kernel.surface->at(x));
  }
  c.spread = kernel.spread.at(c.time);
  return c;
}

// The quickest of the kernels that `offered` lets through.
template <class Offered>
ChosenKernel quickest(const ServedExperts& e, const ServingFits& fits, const Machine& machine, const Offered& offered) {
  ChosenKernel best;
  for (const ExpertKernel& kernel : fits.experts) {
    if (!offered(kernel)) continue;
    const OpCost c = priced(e, kernel, machine);
    if (best.kernel == nullptr || c.time < best.cost.time) best = {&kernel, c};
  }
  return best;
}

}  // namespace

ChosenKernel chosen_kernel(const ServedExperts& e, const Machine& machine) {
  const ServingFits& fits = fits_of(machine);
  if (e.exchanged) {
    const ChosenKernel own = quickest(e, fits, machine, [&](const ExpertKernel& k) {
      return k.exchanged && k.decode == e.decode && is_quantised(k.weights) == is_quantised(e.weights);
    });
    if (own.kernel != nullptr && e.weights != DType::nvfp4) return own;
  }
  for (const Format& format : stand_ins({e.weights, e.op.activations})) {
    const auto fitting = [&](const ExpertKernel& k) { return !k.exchanged && Format{k.weights, k.activations} == format; };
    const ChosenKernel own = quickest(e, fits, machine, [&](const ExpertKernel& k) { return fitting(k) && k.stack == e.stack; });
    if (own.kernel != nullptr) return own;
    const ChosenKernel other = quickest(e, fits, machine, fitting);
    if (other.kernel != nullptr) return other;
  }
  return {nullptr, cost(e.op, e.load, machine.gpu, MoeOpFit{})};
}

OpCost cost(const ServedExperts& e, const Machine& machine) { return chosen_kernel(e, machine).cost; }

const DecodeFit& decode_fit(const DecodeAttention& a, const Machine& machine) {
  const ServingFits& fits = fits_of(machine);
  const DecodeFits& family = a.shape.latent ? fits.latent_decode : fits.decode;
  return a.shape.cache == DType::bf16 ? family.bf16 : family.fp8;
}

OpCost cost(const DecodeAttention& a, const Machine& machine) {
  const DecodeFit& fit = decode_fit(a, machine);
  OpCost c = decode_cost(a.shape, machine.gpu, fit);
  if (a.queries > 1) {  // the cache is read once; products are those of every query
    const Flops more = (a.queries - 1) * c.flops;
    c.time += more / (fit.tensor * machine.gpu.dense_peak.of(a.shape.products)->value);
    c.flops += more;
  }
  return c;
}

std::optional<OwnReduce> own_reduce(const ServedReduce& r, const Machine& machine) {
  const auto at = static_cast<std::size_t>(r.stack);
  const FrameworkAllReduceFit& fit = fits_of(machine).all_reduce[at];
  constexpr std::array kLibraries{AllReduceLibrary::trtllm, AllReduceLibrary::vllm, AllReduceLibrary::sglang};
  const FrameworkAllReduce call{.library = kLibraries[at], .bytes = r.bytes, .ranks = real(r.group.size),
                                .link = device_bandwidth(machine.fabric[0]),
                                .blackwell = machine.gpu.architecture.starts_with("sm_10")};
  const bool near = tier_of(r.group, machine.fabric) == 0 && machine.fabric[0].kind == TierKind::switched;
  if (!near || fit.source == Source::bound || r.bytes > largest(call)) return std::nullopt;
  return OwnReduce{call, fit};
}

OpCost cost(const ServedReduce& r, const Machine& machine) {
  const std::optional<OwnReduce> own = own_reduce(r, machine);
  if (!own) return cost(Collective{CollectiveKind::all_reduce, r.bytes, r.group}, machine.fabric, machine.calibration);
  OpCost c = cost(own->call, own->fit);
  if (c.bound_by == "NVLink") c.bound_by = machine.fabric[0].name;
  return c;
}

LowLatencyCall low_latency_call(const LowLatencyExchange& e, const Machine& machine) {
  const double ranks = real(e.group.size), per_node = real(members_within(e.group, machine.fabric, 0));
  const DeepEpDirection direction = e.combine ? DeepEpDirection::combine : DeepEpDirection::dispatch;
  const DeepEpLowLatency call{.tokens = e.tokens * e.overload, .row = deepep_low_latency_row(e.hidden, direction),
                              .top_k = real(e.moe.top_k), .experts = real(e.moe.experts), .ranks = ranks,
                              .nodes = ranks / per_node, .multiprocessors = real(machine.gpu.multiprocessors.value),
                              .link = device_bandwidth(machine.fabric[0]), .nic = device_bandwidth(machine.fabric.back())};
  const LowLatencyFits& fits = fits_of(machine).low_latency;
  if (call.nodes > 1) return {call, e.combine ? fits.nodes_combine : fits.nodes_dispatch};
  return {call, e.combine ? fits.combine : fits.dispatch};
}

OpCost cost(const LowLatencyExchange& e, const Machine& machine) {
  const LowLatencyCall own = low_latency_call(e, machine);
  return cost(own.call, own.fit);
}

}  // namespace moeline
