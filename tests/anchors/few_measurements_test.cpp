// What 24 and 50 chosen measurements make of a page of the generation before: H200's products rescaled to B200.
#include <algorithm>
#include <cmath>

#include "anchors/measurements.hpp"
#include "fit/calibration_file.hpp"
#include "fit/pages.hpp"
#include "fit/few_points.hpp"
#include "fit/measurement.hpp"
#include "spec/catalogue.hpp"

namespace moeline {
namespace {

std::map<FamilyKey, FamilyFit> carried_pages(const std::string& device) {
  std::map<FamilyKey, FamilyFit> pages;
  for (const CatalogueEntry& entry : calibration_catalogue()) {
    if (entry.name != device) continue;
    for (const FamilyFit& page : read_pages(parse_json(entry.text, device), device)) pages.emplace(page.key, page);
  }
  return pages;
}

}  // namespace

TEST_CASE("a few measurements carry a page of products across a generation", "[anchors]") {
  const std::optional<std::string> path = measurements("aic_gemm_h200_b200.csv");
  if (!path) return;
  // Reached when written, mean of all rows not chosen: bf16 9.2 and 8.7 %, fp8 6.9 and 6.6 %; unscaled 14.2 and 10.4 %,
  // B200's own pages, fitted to every row, 7.6 and 4.9 %.
  const std::map<std::string, std::pair<double, double>> reached{{"bfloat16", {0.10, 0.095}}, {"fp8", {0.075, 0.0725}}};
  const std::map<FamilyKey, FamilyFit> pages = carried_pages("h200-sxm");
  int checked = 0;
  for (const FamilyData& data : read_families(*path)) {
    if (data.key.device != "b200-sxm" || data.key.library != "trtllm" || !reached.contains(data.key.dtype)) continue;
    FamilyKey key = data.key;
    key.device = "h200-sxm";
    const FamilyFit& base = pages.at(key);
    const auto [with_24, with_50] = reached.at(data.key.dtype);
    for (const auto& [count, limit] : {std::pair{24, with_24}, std::pair{50, with_50}}) {
      const auto points = static_cast<std::size_t>(count);
      const FamilyFit page = few_point_page(base, data, choose_points(data, base.fit.values, points));
      INFO(data.key.dtype << ", " << count << " points: " << page.held_out.mean << ", bias " << page.held_out.bias);
      CHECK(page.held_out.mean < limit);
      CHECK(std::abs(page.held_out.bias) < 0.04);
      ++checked;
    }
  }
  CHECK(checked == 4);
}

TEST_CASE("shapes to measure reach from one row to products that fill the machine", "[anchors]") {
  const std::map<FamilyKey, FamilyFit> pages = carried_pages("h200-sxm");
  const std::vector<ProductShape> shapes =
      products_to_measure(pages.at({"h200-sxm", "gemm", "trtllm", "bfloat16"}), "b200-sxm", 24);
  REQUIRE(shapes.size() == 24);
  const auto [small, large] = std::ranges::minmax(shapes, {}, &ProductShape::m);
  CHECK(small.m <= 4);
  CHECK(large.m >= 4096);
}

}  // namespace moeline
