#include "fit/checking.hpp"

#include <algorithm>
#include <cmath>

#include "fit/device_names.hpp"
#include "fit/pages.hpp"
#include "spec/catalogue.hpp"

namespace moeline {
// The same library first, then any that runs the operation in that format; parameters must be those of the rows'
// equation.
const Page* page_for(const FamilyData& rows, const std::vector<Page>& pages) {
  const auto same_equation = [&](const Page& page) {
    const FamilyFit& fit = page.fit;
    return fit.key.operation == rows.key.operation && fit.key.dtype == rows.key.dtype &&
           fit.fit.values.size() == rows.parameters.size();
  };
  for (const bool any_library : {false, true}) {
    for (const Page& page : pages) {
      if (same_equation(page) && (any_library || page.fit.key.library == rows.key.library)) return &page;
    }
  }
  return nullptr;
}

namespace {

std::size_t class_of(const std::vector<SizeClass>& classes, double predicted_us) {
  std::size_t c = 0;
  while (c + 1 < classes.size() && predicted_us >= classes[c + 1].above_us) ++c;
  return c;
}

}  // namespace

Checked check_rows(const FamilyData& rows, const std::vector<Page>& pages, Conditions conditions) {
  Checked result{.key = rows.key, .skipped = rows.skipped};
  const Page* page = page_for(rows, pages);
  if (page == nullptr) {
    if (!rows.observations.measured.empty())
      result.skipped["no calibration for this family"] += rows.observations.measured.size();
    return result;
  }
  result.page = *page;
  result.ratios = log_ratios(rows, page->fit, conditions);
  result.errors = summarise(result.ratios);
  result.classes = page->fit.classes;
  if (result.classes.empty()) result.classes.push_back({.spread = page->fit.spread});
  std::vector<std::vector<double>> by_class(result.classes.size());
  for (std::size_t row = 0; row < result.ratios.size(); ++row) {
    result.predicted_us.push_back(rows.observations.measured[row] * std::exp(result.ratios[row]));
    by_class[class_of(result.classes, result.predicted_us.back())].push_back(result.ratios[row]);
  }
  for (std::size_t c = 0; c < by_class.size(); ++c) {
    SizeClass& size_class = result.classes[c];
    const ErrorSummary errors = summarise(by_class[c]);
    size_class.spread = page->widened(size_class.spread);
    size_class.n = errors.n;
    size_class.mean = errors.mean;
    size_class.bias = errors.bias;
    size_class.coverage = coverage(by_class[c], size_class.spread);
    if (errors.n > 0)
      result.coverage +=
          size_class.coverage * static_cast<double>(errors.n) / static_cast<double>(result.ratios.size());
  }
  return result;
}

std::vector<Page> pages_for_device(const std::string& device) {
  if (has_profile(device)) {
    const Document profile = find_hardware(device, "measurements");
    std::string taken;
    std::vector<Page> pages = carried_pages(read_cluster(profile.json, profile.origin), taken);
    for (Page& page : pages_of_strangers(pages)) pages.push_back(std::move(page));
    return pages;
  }
  std::vector<Page> pages;  // measured on a board without a profile, such as a100-pcie
  for (const CatalogueEntry& entry : calibration_catalogue()) {
    if (entry.name != device) continue;
    for (FamilyFit& fit : read_pages(parse_json(entry.text, device), device)) pages.push_back({.fit = std::move(fit)});
  }
  return pages;
}

}  // namespace moeline
