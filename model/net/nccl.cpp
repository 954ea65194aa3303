#include "net/nccl.hpp"

#include <cmath>

#include "error.hpp"
#include "net/overlap.hpp"

namespace moeline {
namespace {

constexpr double kSwitchRanks = 8;  // from here on NCCL offers in-switch reduction
constexpr Bytes kFlagLine = 32.0 * kibibyte;
constexpr Bytes kBuffers = 16.0 * mebibyte;

// 0 for messages much shorter than `scale`, 1 for much longer ones.
double share(Bytes message, Bytes scale) { return message / (message + scale); }

struct Candidate {
  NcclProtocol protocol;
  Seconds latency, transfer;
  Seconds time;
};

void choose(NcclTerms& terms, const Candidate& candidate) {
  if (terms.time > Seconds{} && terms.time <= candidate.time) return;
  terms.protocol = candidate.protocol;
  terms.latency = candidate.latency;
  terms.transfer = candidate.transfer;
  terms.time = candidate.time;
}

Candidate candidate(NcclProtocol protocol, Seconds latency, Seconds transfer, double overlap) {
  return {protocol, latency, transfer, overlapped(latency, transfer, overlap)};
}

OpCost to_cost(const NcclTerms& terms, const NcclFit& fit) {
  OpCost cost;
  cost.bytes = terms.volume;
  cost.time = terms.time;
  cost.bound_by = terms.transfer >= terms.latency ? "NVLink" : "latency";
  cost.spread = fit.spread.at(cost.time);
  cost.source = fit.source;
  return cost;
}

}  // namespace

NcclTerms nccl_terms(const NvlinkCollective& c, const NcclFit& fit) {
  MOELINE_EXPECT(c.kind != CollectiveKind::send_recv);
  NcclTerms terms;
  if (c.ranks <= 1) return terms;
  terms.steps = (c.kind == CollectiveKind::all_reduce ? 2 : 1) * (c.ranks - 1);
  terms.volume = c.bytes / c.ranks * (terms.steps + fit.own_copy);

  const double grown = 1 + fit.low_growth * share(c.bytes, kFlagLine);
  const Candidate low = candidate(NcclProtocol::low, (fit.low_launch + terms.steps * fit.low_hop) * grown,
                                  terms.volume / (fit.low_link * c.link), fit.low_overlap);
  Candidate simple = candidate(NcclProtocol::simple, terms.steps * fit.simple_hop,
                               terms.volume / (fit.simple_link * c.link), fit.simple_overlap);
  const Seconds start = fit.simple_floor * (1 + fit.simple_growth * share(c.bytes, kBuffers));
  simple.latency += start;
  simple.time += start;
  terms.low = low.time;
  terms.simple = simple.time;
  choose(terms, low);
  choose(terms, simple);
  const bool may_switch = c.kind == CollectiveKind::all_reduce && c.reduction == NvlinkReduction::ring_or_switch;
  if (may_switch && c.ranks >= kSwitchRanks) {
    const Bytes through = c.bytes * ((c.ranks + 1) / c.ranks);
    const Candidate nvls = candidate(NcclProtocol::nvls, fit.switch_floor, through / (fit.switch_link * c.link),
                                     fit.switch_overlap);
    terms.nvls = nvls.time;
    if (nvls.time < terms.time) terms.volume = through;
    choose(terms, nvls);
  }
  return terms;
}

NcclTerms nccl_terms(const NvlinkAllToAll& e, const NcclFit& fit) {
  NcclTerms terms;
  if (e.ranks <= 1) return terms;
  const Bytes chunk = e.rank_buffer / e.ranks;
  const double doublings = std::log2(e.ranks) - 1;
  terms.steps = 1;  // all peers at once
  terms.volume = chunk * (e.ranks - 1 + fit.own_copy);
  const Seconds transfer = terms.volume / (fit.exchange_link * e.link) * (1 + fit.exchange_decay * doublings);
  const Seconds peers = fit.exchange_peer * (e.ranks - 1);
  const Seconds low_latency = fit.exchange_low + peers + chunk * fit.exchange_low_byte;
  const Candidate low = candidate(NcclProtocol::low, low_latency, transfer, 1);
  const Seconds floor = (fit.exchange_floor + peers) * (1 + fit.exchange_growth * share(e.rank_buffer, kBuffers));
  const Candidate simple = candidate(NcclProtocol::simple, floor, transfer, 1);
  terms.low = low.time;
  terms.simple = simple.time;
  choose(terms, low);
  choose(terms, simple);
  return terms;
}

OpCost cost(const NvlinkCollective& c, const NcclFit& fit) { return to_cost(nccl_terms(c, fit), fit); }
OpCost cost(const NvlinkAllToAll& e, const NcclFit& fit) { return to_cost(nccl_terms(e, fit), fit); }

}  // namespace moeline
