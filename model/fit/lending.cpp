#include "fit/lending.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "fit/foreign.hpp"
#include "fit/gemm_data.hpp"
#include "fit/pages.hpp"
#include "spec/catalogue.hpp"

namespace moeline {
namespace {

// Widening of a borrowed page's spread: sisters of one generation err about 1.3 times as much (H200 to H100, B200 to
// GB200, 9,781 products; same study).
constexpr double kSister = 1.3;

struct Lender {
  std::string_view name;
  double widening;
  double least = 0;
  std::string_view only{};  // the one operation it lends
};

std::vector<Lender> lenders(const Cluster& cluster, const Gpu& gpu) {
  std::vector<Lender> list{{cluster.name, 1}};
  if (gpu.architecture == "sm_80") list.insert(list.end(), {{"a100-sxm", kSister}, {"a100-pcie", kSister}, {"h200-sxm", kStranger, kStrangerLeast, "collective"}});
  if (gpu.architecture == "sm_90") {
    list.insert(list.end(), {{"h200-sxm", kSister},
                             {"h800-sxm", kSister},
                             {"h100-sxm", kSister},
                             {"h20-sxm", kSister},
                             {"a100-pcie", kStranger}});
  }
  if (gpu.architecture == "sm_100" || gpu.architecture == "sm_103") {
    list.insert(list.end(), {{"b200-sxm", kSister}, {"gb200-nvl72", kSister}});
  }
  // AMD's borrow from those that were sold beside them.
  if (gpu.architecture == "gfx942") list.push_back({"h200-sxm", kStranger, kStrangerLeast});
  if (gpu.architecture == "gfx950") list.push_back({"b200-sxm", kStranger, kStrangerLeast});
  return list;
}

double sigma(Band band) { return (band.high - band.low) / 2 / 1.2816; }

}  // namespace

Band Page::widened(Band band) const {
  return {std::min(widening * band.low, -least), std::max(widening * band.high, least)};
}

std::vector<Page> pages_of_strangers(const std::vector<Page>& relatives) {
  std::vector<Page> pages;
  for (const CatalogueEntry& entry : calibration_catalogue()) {
    const std::string name(entry.name);
    const auto known = [&](const Page& page) { return page.fit.key.device == name; };
    if (std::any_of(relatives.begin(), relatives.end(), known)) continue;
    for (FamilyFit& fit : carried_file(entry.text, name)) {
      pages.push_back({.fit = std::move(fit), .own = false, .widening = kStranger, .least = kStrangerLeast});
    }
  }
  return pages;
}

std::vector<Page> carried_pages(const Cluster& cluster, std::string& taken, bool all) {
  std::vector<Page> pages;
  const Gpu* gpu = std::get_if<Gpu>(&cluster.device);
  if (gpu == nullptr) return pages;
  std::vector<std::string_view> seen;
  for (const Lender& lender : lenders(cluster, *gpu)) {
    if (std::find(seen.begin(), seen.end(), lender.name) != seen.end()) continue;
    seen.push_back(lender.name);
    for (const CatalogueEntry& entry : calibration_catalogue()) {
      if (entry.name != lender.name) continue;
      const std::string origin = "calibration/" + std::string(entry.name) + ".json";
      const bool own = entry.name == cluster.name;
      const bool stranger = lender.least > 0 && lender.only.empty();
      const std::optional<Gpu> foreign = stranger ? std::optional(gpu_named(std::string(entry.name))) : std::nullopt;
      for (FamilyFit& fit : carried_file(entry.text, origin, all)) {
        if (!lender.only.empty() && fit.key.operation != lender.only) continue;
        if (foreign) fit = carried_over(std::move(fit), *foreign, cluster.name, *gpu);
        pages.push_back({.fit = std::move(fit), .own = own, .widening = own ? 1 : lender.widening, .least = lender.least});
      }
      taken += fmt::format("{}{}{}", taken.empty() ? "" : ", ", lender.name, own ? "" : " (borrowed)");
    }
  }
  return pages;
}

void lend_to_strangers(std::vector<Page>& pages, const Cluster& cluster, std::string& taken) {
  const Gpu* gpu = std::get_if<Gpu>(&cluster.device);
  if (gpu == nullptr || gpu->architecture == "host") return;
  const bool served = std::any_of(pages.begin(), pages.end(), [](const Page& page) { return page.fit.key.operation == "moe_op"; });
  if (served) return;
  const std::string_view name = "h200-sxm";
  const Gpu lender = gpu_named(std::string(name));
  for (const CatalogueEntry& entry : calibration_catalogue()) {
    if (entry.name != name) continue;
    for (FamilyFit& fit : carried_file(entry.text, std::string(name))) {
      pages.push_back({.fit = carried_over(std::move(fit), lender, cluster.name, *gpu), .own = false, .widening = kStranger, .least = kStrangerLeast});
    }
  }
  taken += fmt::format("{}{} (borrowed across generations)", taken.empty() ? "" : ", ", name);
}

const Page* find_page(const std::vector<Page>& pages, std::string_view operation, std::string_view library,
                      std::string_view dtype) {
  const auto found = std::find_if(pages.begin(), pages.end(), [&](const Page& page) {
    const FamilyKey& key = page.fit.key;
    return key.operation == operation && (library.empty() || key.library == library) &&
           (dtype.empty() || key.dtype == dtype);
  });
  return found == pages.end() ? nullptr : &*found;
}

Spread spread_of(const Page& page) {
  const std::vector<SizeClass>& classes = page.fit.classes;
  if (classes.empty() || classes.size() > Spread::kClasses) return even_spread(sigma(page.widened(page.fit.spread)));
  Spread spread = even_spread(sigma(page.widened(classes.back().spread)));
  for (std::size_t c = 0; c + 1 < Spread::kClasses; ++c) {
    const std::size_t next = std::min(c + 1, classes.size() - 1);
    spread.edges[c] = classes[next].above_us * microsecond;
    if (c < classes.size()) spread.sigma[c] = sigma(page.widened(classes[c].spread));
  }
  return spread;
}

}  // namespace moeline
