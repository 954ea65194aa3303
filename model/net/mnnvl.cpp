#include "net/mnnvl.hpp"

#include <cmath>

#include "net/overlap.hpp"

namespace moeline {
namespace {

constexpr double kTray = 8;  // ranks per unit of `decay`

Bytes crossing(const MnnvlExchange& e) { return e.tokens * e.ranks_hit * e.row * ((e.ranks - 1) / e.ranks); }

}  // namespace

MnnvlTerms mnnvl_terms(const MnnvlExchange& e, const MnnvlFit& fit) {
  MnnvlTerms terms;
  if (e.ranks <= 1) return terms;
  terms.fixed = fit.launch + fit.doubling * std::log2(e.ranks);
  terms.tokens = fit.token * e.tokens;
  terms.channel = e.tokens * e.ranks_hit / e.ranks * (fit.row * e.tensors + e.row * fit.channel_byte);
  terms.link = crossing(e) / (fit.link * e.link) * (1 + fit.decay * e.ranks / kTray);
  terms.time = terms.fixed + terms.tokens + overlapped(terms.channel, terms.link, fit.overlap);
  if (fit.surface) terms.time *= std::exp(fit.surface->at(mnnvl_coordinates(e)));
  return terms;
}

std::array<double, 2> mnnvl_coordinates(const MnnvlExchange& e) { return {std::log2(e.tokens), std::log2(e.ranks)}; }

OpCost cost(const MnnvlExchange& e, const MnnvlFit& fit) {
  const MnnvlTerms terms = mnnvl_terms(e, fit);
  OpCost cost;
  cost.bytes = crossing(e);
  cost.time = terms.time;
  cost.bound_by = terms.fixed + terms.tokens > max(terms.channel, terms.link) ? "latency"
                  : terms.channel > terms.link                                ? "channel"
                                                                              : "NVLink";
  cost.spread = fit.spread.at(cost.time);
  cost.source = fit.source;
  return cost;
}

}  // namespace moeline
