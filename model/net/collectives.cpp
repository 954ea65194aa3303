#include "net/collectives.hpp"

#include <algorithm>
#include <cmath>
#include <optional>

#include "error.hpp"
#include "net/deepep.hpp"
#include "net/mnnvl.hpp"
#include "net/nccl.hpp"
#include "routing/load.hpp"

namespace moeline {
namespace {

double real(std::int64_t value) { return static_cast<double>(value); }

// Members of the group inside one domain of each tier; the outermost tier reached holds all of them.
ByTier<double> members_by_tier(const Group& group, const Fabric& fabric) {
  ByTier<double> members(fabric.size());
  for (std::size_t t = 0; t < fabric.size(); ++t) members[t] = real(members_within(group, fabric, t));
  members.back() = real(group.size);  // the last tier reaches everybody
  return members;
}

// A ring or tree step per doubling of members; large groups pay the outermost tier's latency.
NetworkTerms finish(const ByTier<Bytes>& per_tier, const ByTier<double>& members, const Fabric& fabric, double rounds) {
  NetworkTerms terms;
  terms.per_tier = per_tier;
  double inner = 1;
  for (std::size_t t = 0; t < fabric.size(); ++t) {
    const Seconds transfer = terms.per_tier[t] / device_bandwidth(fabric[t]);
    if (transfer > terms.transfer) {
      terms.transfer = transfer;
      terms.tier = t;
    }
    const double hops = members[t] > inner ? std::ceil(std::log2(members[t] / inner) - 1e-9) * rounds : 0;
    if (hops > 0) {
      terms.latency += hops * fabric[t].latency.value;
      terms.hops += hops;
    }
    inner = members[t];
  }
  return terms;
}

// all_gather or reduce_scatter: what one device passes on in each tier. Every byte but one's own passes every device, and so
// every border between domains, whose devices share its uplinks.
ByTier<Bytes> ring_traffic(Bytes total, const ByTier<double>& members, double ranks) {
  ByTier<Bytes> per_tier(members.size());
  double inner = 1;
  for (std::size_t t = 0; t < members.size(); ++t) {
    if (members[t] > inner) per_tier[t] = total * ((ranks - 1) / ranks / inner);
    inner = members[t];
  }
  return per_tier;
}

// Sums between two domains go by a tree: what one has comes to the other once, half of a ring's way there and back.
ByTier<Bytes> sum_traffic(Bytes total, const ByTier<double>& members, double ranks) {
  ByTier<Bytes> per_tier = ring_traffic(2 * total, members, ranks);
  double inner = members[0];
  for (std::size_t t = 1; t < members.size(); ++t) {
    if (members[t] / inner == 2) per_tier[t] = total * (1 / inner);
    inner = members[t];
  }
  return per_tier;
}

ByTier<Bytes> flat_exchange(const TokenExchange& e, const ByTier<double>& members, double ranks) {
  ByTier<Bytes> per_tier(members.size());
  const Bytes sent = e.tokens * real(e.moe.top_k) * e.copy;
  double inner = 1;
  for (std::size_t t = 0; t < members.size(); ++t) {
    per_tier[t] = sent * ((members[t] - inner) / ranks);
    inner = members[t];
  }
  return per_tier;
}

// One copy per domain touched on the slow tiers, forwarded inside; one copy per rank touched on the fast one.
ByTier<Bytes> deduplicated_exchange(const TokenExchange& e, const ByTier<double>& members, double ranks) {
  ByTier<Bytes> per_tier(members.size());
  const Bytes rows = e.tokens * e.copy;
  double inner = 1;
  for (std::size_t t = 0; t < members.size(); ++t) {
    const double domains = ranks / inner;
    const double within = members[t] / inner;  // how many of those domains this tier connects
    if (within > 1) per_tier[t] = rows * (expected_domains_hit(e.moe, domains) * (within - 1) / within);
    inner = members[t];
  }
  return per_tier;
}

OpCost to_cost(const NetworkTerms& terms, const Fabric& fabric, const LinkFit& fit) {
  OpCost cost;
  for (const Bytes& bytes : terms.per_tier) cost.bytes = max(cost.bytes, bytes);
  const Seconds transfer = terms.transfer / fit.link;
  cost.time = fit.launch + terms.latency + transfer;
  cost.bound_by = transfer >= terms.latency + fit.launch ? std::string_view(fabric[terms.tier].name) : "latency";
  cost.spread = fit.spread.at(cost.time);
  cost.source = fit.source;
  return cost;
}

// The fits name their link by kind; answers name the tier.
OpCost named(OpCost cost, const Tier& tier) {
  if (cost.bound_by == "NVLink" || cost.bound_by == "NIC") cost.bound_by = tier.name;
  return cost;
}

// Multiprocessors that Megatron-Core leaves to DeepEP by default (moe_deepep_num_sms).
constexpr double kDeepEpMultiprocessors = 20;

OpCost deepep_cost(const TokenExchange& e, const Fabric& fabric, const DeepEpFits& fits) {
  const double ranks = real(e.group.size), per_node = real(members_within(e.group, fabric, 0)), nodes = ranks / per_node;
  DeepEpNormal exchange{.tokens = e.tokens * e.overload, .row = e.copy, .ranks = ranks,
                        .ranks_hit = expected_domains_hit(e.moe, ranks), .nodes = nodes,
                        .nodes_hit = expected_domains_hit(e.moe, nodes), .multiprocessors = kDeepEpMultiprocessors,
                        .link = device_bandwidth(fabric[0]), .nic = device_bandwidth(fabric.back())};
  if (nodes > 1) return named(cost(exchange, e.combine ? fits.nodes_combine : fits.nodes_dispatch), fabric.back());
  return named(cost(exchange, e.combine ? fits.combine : fits.dispatch), fabric[0]);
}

// What the fits of real transports say, where there is one for this reach.
std::optional<OpCost> measured_exchange(const TokenExchange& e, const Fabric& fabric, const Calibration& calibration) {
  const bool near = tier_of(e.group, fabric) == 0;
  const double ranks = real(e.group.size);
  const BytesPerSecond link = device_bandwidth(fabric[0]);
  if (e.transport == Transport::nccl && near && calibration.nccl.source != Source::bound) {
    const Bytes buffer = e.tokens * e.overload * real(e.moe.top_k) * e.copy;
    return named(cost(NvlinkAllToAll{buffer, ranks, link}, calibration.nccl), fabric[0]);
  }
  if (e.transport == Transport::hybridep && near && calibration.mnnvl.dispatch.source != Source::bound) {
    const MnnvlExchange exchange{.tokens = e.tokens * e.overload, .row = e.copy, .ranks = ranks,
                                 .ranks_hit = expected_domains_hit(e.moe, ranks), .link = link};
    return named(cost(exchange, e.combine ? calibration.mnnvl.combine : calibration.mnnvl.dispatch), fabric[0]);
  }
  const bool deepep = e.transport == Transport::deepep || e.transport == Transport::hybridep;
  const DeepEpFit& fit = near ? calibration.deepep.dispatch : calibration.deepep.nodes_dispatch;
  if (deepep && fit.source != Source::bound) return deepep_cost(e, fabric, calibration.deepep);
  return std::nullopt;
}

}  // namespace

NetworkTerms collective_terms(const Collective& c, const Fabric& fabric) {
  const ByTier<double> members = members_by_tier(c.group, fabric);
  const double ranks = real(c.group.size);
  if (ranks <= 1) return finish(ByTier<Bytes>(fabric.size()), members, fabric, 0);
  switch (c.kind) {
    case CollectiveKind::all_gather:
    case CollectiveKind::reduce_scatter: return finish(ring_traffic(c.bytes, members, ranks), members, fabric, 1);
    case CollectiveKind::all_reduce: {
      ByTier<Bytes> traffic = sum_traffic(c.bytes, members, ranks);
      if (fabric[0].in_switch_reduction && members[0] > 2) {
        traffic[0] = min(traffic[0], c.bytes * ((members[0] + 1) / members[0]));
      }
      return finish(traffic, members, fabric, 2);
    }
    case CollectiveKind::send_recv: {
      const std::size_t tier = tier_of({2, c.group.stride}, fabric);
      NetworkTerms terms;
      terms.per_tier = ByTier<Bytes>(fabric.size());
      terms.per_tier[tier] = c.bytes;
      terms.tier = tier;
      terms.hops = 1;
      terms.latency = fabric[tier].latency.value;
      terms.transfer = c.bytes / device_bandwidth(fabric[tier]);
      return terms;
    }
  }
  MOELINE_EXPECT(false);
  return {};
}

NetworkTerms exchange_terms(const TokenExchange& e, const Fabric& fabric) {
  const ByTier<double> members = members_by_tier(e.group, fabric);
  const double ranks = real(e.group.size);
  if (ranks <= 1) return finish(ByTier<Bytes>(fabric.size()), members, fabric, 0);
  if (e.transport == Transport::allreduce) {
    // Tokens of all ranks to all ranks, and sums back: a gather one way, a scatter the other.
    return finish(ring_traffic(ranks * e.tokens * e.copy, members, ranks), members, fabric, 1);
  }
  ByTier<Bytes> traffic = e.transport == Transport::nccl ? flat_exchange(e, members, ranks)
                                                              : deduplicated_exchange(e, members, ranks);
  for (Bytes& bytes : traffic) bytes *= e.overload;
  NetworkTerms terms = finish(traffic, members, fabric, 0);
  terms.hops = 1;  // all peers at once
  terms.latency = fabric[tier_of(e.group, fabric)].latency.value;
  return terms;
}

OpCost cost(const Collective& c, const Fabric& fabric, const Calibration& calibration) {
  const bool near = tier_of(c.group, fabric) == 0 && fabric[0].kind == TierKind::switched;
  const bool priced = c.kind != CollectiveKind::send_recv && c.group.size > 1 && calibration.nccl.source != Source::bound;
  if (!near || !priced) return to_cost(collective_terms(c, fabric), fabric, calibration.link);
  const NvlinkReduction reduction = fabric[0].in_switch_reduction ? NvlinkReduction::ring_or_switch : NvlinkReduction::ring;
  const NvlinkCollective nvlink{c.kind, c.bytes, real(c.group.size), device_bandwidth(fabric[0]), reduction};
  return named(cost(nvlink, calibration.nccl), fabric[0]);
}

OpCost cost(const TokenExchange& e, const Fabric& fabric, const Calibration& calibration) {
  if (e.group.size > 1 && fabric[0].kind == TierKind::switched) {
    if (const std::optional<OpCost> measured = measured_exchange(e, fabric, calibration)) return *measured;
  }
  return to_cost(exchange_terms(e, fabric), fabric, calibration.link);
}

}  // namespace moeline
