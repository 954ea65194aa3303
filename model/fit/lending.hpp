// Whose pages price a device?
//
// Its own first; what it lacks it borrows from its nearest relative of the same generation, marked extrapolated and
// with a wider spread. Across generations nothing is borrowed but Hopper's attention backward, from the A100's, and the
// A100's collectives, from Hopper's: shares of a link that the same protocols of NCCL reach. Across makers everything is,
// carried over (fit/foreign), because the alternative is a bound that no kernel reaches.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cost/op_cost.hpp"
#include "fit/family.hpp"
#include "spec/cluster.hpp"

namespace moeline {

// A page as it prices one device.
struct Page {
  FamilyFit fit;
  bool own = true;
  double widening = 1;  // of the spread, when not its own
  double least = 0;     // half-width of the 10-90 band, in log, that is claimed at best

  Band widened(Band band) const;
};

// A page measured on a device of no known kinship: errors grow to 15-27 %, three times those at home (reference study
// of the rows the carried pages come from).
inline constexpr double kStranger = 3;
inline constexpr double kStrangerLeast = 0.2231;  // log 1.25: across generations nothing better than 25 % is claimed

// Carried pages that may price the cluster's device, best first; without `all`, those that a training step asks for.
// `taken` names the lenders.
std::vector<Page> carried_pages(const Cluster& cluster, std::string& taken, bool all = true);

// The carried pages of every other device, for comparisons only: strangers.
std::vector<Page> pages_of_strangers(const std::vector<Page>& relatives);

// The first page of that operation; an empty library or dtype matches any. nullptr if there is none.
const Page* find_page(const std::vector<Page>& pages, std::string_view operation, std::string_view library = "",
                      std::string_view dtype = "");

// Kernels of serving stacks on a device whose generation was not measured with any: Hopper's, carried over (fit/foreign),
// as strangers. Appended to its own pages.
void lend_to_strangers(std::vector<Page>& pages, const Cluster& cluster, std::string& taken);

// log(measured / predicted) by predicted time. Half the 10-90 band is 1.28 standard deviations.
Spread spread_of(const Page& page);

// A fit with what its page says of it: origin and spread; corrected: its surface too.
template <class F>
F marked(F fit, const Page& page) {
  fit.source = page.own ? Source::fitted : Source::extrapolated;
  fit.spread = spread_of(page);
  return fit;
}
template <class F>
F corrected(F fit, const Page& page) {
  fit = marked(std::move(fit), page);
  if (!page.fit.surface.empty()) fit.surface = std::make_shared<const Surface>(page.fit.surface);
  return fit;
}

}  // namespace moeline
