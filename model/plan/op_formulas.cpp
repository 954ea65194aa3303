#include "plan/op_formulas.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "gpu/attention.hpp"
#include "gpu/gemm.hpp"
#include "gpu/megakernel.hpp"
#include "gpu/moe_op.hpp"
#include "gpu/quantise.hpp"
#include "gpu/serving.hpp"
#include "net/collectives.hpp"

namespace moeline {
namespace {

// What the terms of a maximum, and what stands beside it, leave of a time; nothing, where floating point rounds that off.
Seconds rest(Seconds time, Seconds beside, Seconds longest) {
  const Seconds left = time - beside - longest;
  return max(left, -1.0 * left) < 1e-12 * time ? Seconds{} : left;
}

// One overload a kind of work.
struct Explain {
  const Machine& machine;
  const OpCost& cost;

  static Formula product(const GemmTerms& t, double m, double n, double k) {
    return {"(launch + max(tensor, memory) + leak + splitting + experts) x correction",
            {term("m", m), term("n", n), term("k", k), term("tile_m", t.tile_m), term("tile_n", t.tile_n), term("split", t.split),
             term("tiles", t.tiles), term("waves", t.waves), term(t.flops), term("bytes", t.bytes), term("launch", t.launch),
             term("tensor", t.tensor), term("memory", t.memory), term("leak", t.leak), term("splitting", t.splitting),
             term("experts", t.experts), term("correction", t.correction)}};
  }
  Formula operator()(const Gemm& w) const { return product(gemm_terms(w, machine.gpu, adapted(w, machine)), w.m, w.n, w.k); }
  Formula operator()(const GroupedGemm& w) const {
    const GemmFit* own = machine.calibration.grouped(w.operands);
    Formula f = product(gemm_terms(w, machine.gpu, own != nullptr ? *own : adapted(w, machine)), w.m, w.n, w.k);
    f.terms.insert(f.terms.begin(), term("groups", w.groups));
    return f;
  }
  Formula operator()(const AttentionCore& w) const {
    const bool latent = w.qk_dim > w.value_dim;
    const PrefillFit& fit = latent ? machine.calibration.latent_attention : machine.calibration.attention;
    const PrefillTerms t = prefill_terms(w, machine.gpu, fit);
    const bool corrected = fit.surface && !w.backward && w.window <= 0;
    const double correction = corrected ? std::exp(fit.surface->at(prefill_coordinates(w))) : 1;
    const Seconds launch = w.backward ? fit.launch_backward : fit.launch;
    const Seconds rounding = rest(t.time / correction, launch + t.around, max(max(t.tail, t.shared), t.memory));
    return {"(launch + around + max(longest_tile, shared_work, memory) + rounding) x correction",
            {term("sequences", w.sequences), term("heads", w.heads), term("queries", w.queries), term("keys", w.keys),
             term("tiles", t.tiles), term("longest_steps", t.longest), term("mean_steps", t.mean), term("busy", t.busy),
             term(t.flops), term("bytes", t.bytes), term("launch", launch), term("around", t.around), term("longest_tile", t.tail),
             term("shared_work", t.shared), term("memory", t.memory), term("rounding", rounding), term("correction", correction)}};
  }
  Formula streamed() const {
    const MemoryFit& fit = machine.calibration.memory;
    return {"launch + memory, of bytes over a share of HBM's bandwidth",
            {term("bytes", cost.bytes), term("share_of_hbm", fit.memory), term("launch", fit.launch), term("memory", cost.time - fit.launch)}};
  }
  Formula operator()(const Elementwise&) const { return streamed(); }
  Formula operator()(const Permute&) const { return streamed(); }
  // What its kernel form adds to the bytes is in the rest of the time.
  Formula scaled(double launches) const {
    const Seconds launch = launches * machine.calibration.memory.launch;
    return {"launch + moving, of bytes over the share of HBM's bandwidth that the kernel form reaches",
            {term("bytes", cost.bytes), term("launch", launch), term("moving", cost.time - launch)}};
  }
  Formula operator()(const Quantize& w) const { return scaled(w.launches); }
  Formula operator()(const Relayout&) const { return scaled(1); }
  Formula operator()(const FusedExperts& w) const {
    const MegakernelTerms t = megakernel_terms(w, machine);
    return {"start + max(tensor, memory, link) + leak, a share of the two smaller",
            {term("tokens", w.tokens), term("experts", w.experts), term("top_k", w.top_k), term("hidden", w.hidden),
             term("width", w.width), term("overload", t.overload), term(cost.flops), term("bytes", cost.bytes), term("start", t.start),
             term("tensor", t.tensor), term("memory", t.memory), term("link", t.link),
             term("leak", rest(t.time, t.start, max(max(t.tensor, t.memory), t.link)))}};
  }
  Formula operator()(const StateScan& w) const {
    const ScanTerms t = scan_terms(w, machine);
    return {"launch + max(tensor, memory)",
            {term("tokens", w.tokens), term("heads", w.heads), term(t.flops), term("bytes", t.bytes),
             term("launch", machine.calibration.scan.launch), term("tensor", t.tensor), term("memory", t.memory)}};
  }
  // Bytes and time that the links alone need; a fitted transport adds the rest.
  Formula network(const NetworkTerms& t, double ranks) const {
    const bool bound = cost.source == machine.calibration.link.source && cost.source == Source::bound;
    Formula f{bound ? "launch + latency + transfer" : "latency + transfer + above_links, which a fitted transport takes beyond the links",
              {term("ranks", ranks), term("hops", t.hops)}};
    for (std::size_t i = 0; i < t.per_tier.size(); ++i) {
      if (t.per_tier[i] > Bytes{}) f.terms.push_back(term(machine.fabric[i].name, t.per_tier[i]));
    }
    f.terms.push_back(term("latency", t.latency));
    f.terms.push_back(term("transfer", t.transfer));
    f.terms.push_back(term(bound ? "launch" : "above_links", cost.time - t.latency - t.transfer));
    return f;
  }
  Formula operator()(const Collective& w) const { return network(collective_terms(w, machine.fabric), static_cast<double>(w.group.size)); }
  Formula operator()(const TokenExchange& w) const { return network(exchange_terms(w, machine.fabric), static_cast<double>(w.group.size)); }

  // Kernels of serving stacks. What a page corrects its equation by is a factor.
  Formula operator()(const DecodeAttention& w) const {
    const DecodeFit& fit = decode_fit(w, machine);
    const DecodeTerms t = decode_terms(w.shape, machine.gpu, fit);
    const double correction = fit.surface ? std::exp(fit.surface->at(decode_coordinates(w.shape))) : 1;
    const Seconds walk = max(t.walk, t.vector);
    const Seconds rounding =
        rest(t.time / correction, fit.launch + t.combine + t.ramp + t.queries, max(max(t.tensor, walk), t.memory));
    Formula f{"(launch + combine + ramp + queries + max(tensor, walk, memory) + rounding) x correction",
              {term("sequences", w.shape.sequences), term("heads", w.shape.heads), term("keys", w.shape.keys), term("chunks", t.chunks),
               term("waves", t.waves), term(cost.flops), term("bytes", t.cache), term("launch", fit.launch), term("combine", t.combine),
               term("ramp", t.ramp), term("queries", t.queries), term("tensor", t.tensor), term("walk", walk), term("memory", t.memory),
               term("rounding", rounding), term("correction", correction)}};
    if (w.queries > 1) {
      f.text += " + other_queries";
      f.terms.push_back(term("other_queries", cost.time - t.time));
    }
    return f;
  }
  Formula operator()(const ServedExperts& w) const {
    const ChosenKernel chosen = chosen_kernel(w, machine);
    const MoeOpFit fit = chosen.kernel != nullptr ? chosen.kernel->fit : MoeOpFit{};
    const MoeOpTerms t = moe_op_terms(w.op, w.load, machine.gpu, fit);
    Formula f{"(launch + up + down + elementwise + overhead) x correction",
              {term("tokens", w.load.tokens), term("rows", w.load.rows), term("experts_hit", w.load.hit), term("tiles", t.up.tiles),
               term("waves", t.up.waves), term(t.flops), term("bytes", t.bytes), term("launch", fit.launch), term("up_tensor", t.up.tensor),
               term("up_memory", t.up.memory), term("up", t.up.time), term("down_tensor", t.down.tensor), term("down_memory", t.down.memory),
               term("down", t.down.time), term("elementwise", t.elementwise), term("overhead", t.overhead),
               term("correction", cost.time / t.time)}};
    if (chosen.kernel != nullptr) f.text += ", by " + chosen.kernel->library;
    return f;
  }
  Formula operator()(const ServedReduce& w) const {
    const std::optional<OwnReduce> own = own_reduce(w, machine);
    if (!own) return (*this)(Collective{CollectiveKind::all_reduce, w.bytes, w.group});
    const FrameworkAllReduceTerms t = framework_all_reduce_terms(own->call, own->fit);
    constexpr std::array kKernels{"one shot", "two shots", "in the switch"};
    return {fmt::format("launch_and_hops + transfer, {}", kKernels.at(static_cast<std::size_t>(t.kernel))),
            {term("ranks", own->call.ranks), term("buffer", w.bytes), term("launch_and_hops", t.fixed), term("transfer", t.transfer)}};
  }
  Formula operator()(const LowLatencyExchange& w) const {
    const auto [call, fit] = low_latency_call(w, machine);
    const DeepEpTerms t = deepep_terms(call, fit);
    const double correction = fit.surface ? std::exp(fit.surface->at(deepep_coordinates(call))) : 1;
    const Seconds rounding = rest(t.time / correction, t.fixed, max(max(t.multiprocessors, t.link), t.wire));
    return {"(launch + max(multiprocessors, link, wire) + rounding) x correction",
            {term("ranks", call.ranks), term("nodes", call.nodes), term("tokens", call.tokens), term("row", call.row),
             term("launch", t.fixed), term("multiprocessors", t.multiprocessors), term("link", t.link), term("wire", t.wire),
             term("rounding", rounding), term("correction", correction)}};
  }
};

}  // namespace

Formula formula_of(const Work& work, const OpCost& cost, const Machine& machine) { return std::visit(Explain{machine, cost}, work); }

}  // namespace moeline
