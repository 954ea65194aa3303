#include "net/deepep.hpp"

#include <algorithm>
#include <cmath>

#include "net/overlap.hpp"
#include "routing/load.hpp"

namespace moeline {
namespace {

constexpr double kNodesPerToken = 4;  // group-limited routing of the benchmark

Seconds three(Seconds a, Seconds b, Seconds c, double sharpness) {
  return overlapped(overlapped(a, b, sharpness), c, sharpness);
}

Seconds on_wire(double rows, Bytes row, double nodes, double share, BytesPerSecond nic) {
  return nodes > 1 ? rows * row * ((nodes - 1) / nodes) / (share * nic) : Seconds{};
}

OpCost to_cost(const DeepEpTerms& terms, Bytes bytes, const Spread& spread, Source source) {
  OpCost cost;
  cost.bytes = bytes;
  cost.time = terms.time;
  cost.spread = spread.at(terms.time);
  cost.source = source;
  const Seconds longest = max(terms.multiprocessors, max(terms.link, terms.wire));
  cost.bound_by = terms.fixed + terms.fill > longest ? "latency"
                  : longest == terms.multiprocessors ? "multiprocessors"
                  : longest == terms.link            ? "NVLink"
                                                     : "NIC";
  return cost;
}

}  // namespace

DeepEpTerms deepep_terms(const DeepEpNormal& e, const DeepEpFit& fit) {
  DeepEpTerms terms;
  if (e.ranks <= 1) return terms;
  terms.fixed = fit.launch + fit.doubling * std::log2(e.nodes);
  terms.fill = std::min(e.tokens, fit.fill_tokens) * e.ranks_hit * (e.row * fit.fill);
  const Seconds one_token = fit.token + e.row * fit.row_byte + e.ranks_hit * (fit.copy + e.row * fit.copy_byte) +
                            (e.nodes > 1 ? e.nodes_hit * (e.row * fit.node_byte) : Seconds{});
  terms.multiprocessors = e.tokens / e.multiprocessors * one_token;
  const double domain = e.ranks / e.nodes;
  terms.link = e.tokens * e.ranks_hit * e.row * ((domain - 1) / domain) / (fit.link * e.link);
  terms.wire = on_wire(e.tokens * e.nodes_hit, e.row, e.nodes, fit.wire, e.nic);
  terms.time = terms.fixed + terms.fill + three(terms.multiprocessors, terms.link, terms.wire, fit.overlap);
  if (fit.surface) terms.time *= std::exp(fit.surface->at(deepep_coordinates(e)));
  return terms;
}

DeepEpTerms deepep_terms(const DeepEpLowLatency& e, const DeepEpLowLatencyFit& fit) {
  DeepEpTerms terms;
  if (e.ranks <= 1) return terms;
  const double per_block = std::ceil(e.experts / e.multiprocessors), blocks = std::ceil(e.experts / per_block);
  const double copies = e.tokens * e.top_k;
  terms.fixed = fit.launch + fit.doubling * std::log2(e.nodes) + e.experts / e.ranks * fit.expert;
  terms.multiprocessors = e.tokens / blocks * (fit.token + e.top_k * (e.row * fit.copy_byte));
  const double domain = e.ranks / e.nodes;
  terms.link = copies / e.nodes * e.row * ((domain - 1) / domain) / (fit.link * e.link);
  terms.wire = on_wire(copies, e.row, e.nodes, fit.wire, e.nic);
  terms.time = terms.fixed + three(terms.multiprocessors, terms.link, terms.wire, fit.overlap);
  if (fit.surface) terms.time *= std::exp(fit.surface->at(deepep_coordinates(e)));
  return terms;
}

std::array<double, 3> deepep_coordinates(const DeepEpNormal& e) {
  return {std::log2(e.tokens), std::log2(e.ranks_hit * e.row.in(byte)), std::log2(e.multiprocessors)};
}
std::array<double, 3> deepep_coordinates(const DeepEpLowLatency& e) {
  return {std::log2(e.tokens), std::log2(e.top_k * e.row.in(byte)), std::log2(e.experts)};
}

Bytes deepep_row(double hidden, DeepEpDirection direction) {
  return direction == DeepEpDirection::dispatch ? hidden * (1 + 4.0 / 128) * byte : hidden * 2 * byte;
}
Bytes deepep_low_latency_row(double hidden, DeepEpDirection direction) {
  const Bytes header = direction == DeepEpDirection::dispatch ? 16 * byte : Bytes{};
  return deepep_row(hidden, direction) + header;
}

DeepEpReach deepep_reach(const MoeFfn& moe, double ranks, double nodes) {
  MoeFfn limited = moe;
  if (nodes > kNodesPerToken) {
    limited.groups = static_cast<std::int64_t>(nodes);
    limited.top_groups = static_cast<std::int64_t>(kNodesPerToken);
  }
  return {expected_domains_hit(limited, ranks), expected_domains_hit(limited, nodes)};
}

OpCost cost(const DeepEpNormal& e, const DeepEpFit& fit) {
  const double crossing = e.nodes > 1 ? e.nodes_hit * (e.nodes - 1) / e.nodes : e.ranks_hit * (e.ranks - 1) / e.ranks;
  return to_cost(deepep_terms(e, fit), e.tokens * crossing * e.row, fit.spread, fit.source);
}
OpCost cost(const DeepEpLowLatency& e, const DeepEpLowLatencyFit& fit) {
  const double crossing = e.nodes > 1 ? (e.nodes - 1) / e.nodes : (e.ranks - 1) / e.ranks;
  return to_cost(deepep_terms(e, fit), e.tokens * e.top_k * crossing * e.row, fit.spread, fit.source);
}

}  // namespace moeline
