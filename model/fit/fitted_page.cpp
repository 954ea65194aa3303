#include "fit/fitted_page.hpp"

#include <fmt/format.h>

#include <numeric>

#include "fit/checking.hpp"
#include "fit/few_points.hpp"

namespace moeline {
namespace {

constexpr std::size_t kFewest = 20, kFewestScaled = 12;  // rows

std::optional<FamilyFit> scaled(const FamilyData& family, const std::string& source) {
  if (family.key.operation != "gemm" || family.observations.measured.size() < kFewestScaled) return std::nullopt;
  const std::vector<Page> pages = pages_for_device(family.key.device);
  const Page* base = page_for(family, pages);
  if (base == nullptr) return std::nullopt;
  std::vector<std::size_t> rows(family.observations.measured.size());
  std::iota(rows.begin(), rows.end(), std::size_t{0});
  FamilyFit page = few_point_page(base->fit, family, rows);
  const FamilyKey& from = base->fit.key;
  page.source = fmt::format("{}; scaled from {} {} {} ({})", source, from.device, from.library, from.dtype, base->fit.source);
  return page;
}

}  // namespace

bool fits_alone(const FamilyData& family) {
  return !family.check_only && family.observations.measured.size() >= kFewest;
}

std::optional<FamilyFit> fitted_page(const FamilyData& family, const std::string& source) {
  if (!fits_alone(family)) return scaled(family, source);
  FamilyFit page = fit_family(family);
  page.source = source;
  return page;
}

}  // namespace moeline
