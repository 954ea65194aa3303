// The calibrations carried in the library, against the rows they were fitted to: a page must explain them as it says.
#include <cmath>

#include "anchors/measurements.hpp"
#include "fit/calibration_file.hpp"
#include "fit/pages.hpp"
#include "fit/measurement.hpp"
#include "spec/catalogue.hpp"

namespace moeline {

TEST_CASE("every carried page predicts the rows of its file within the held-out error it states", "[anchors]") {
  std::map<FamilyKey, FamilyFit> pages;
  for (const CatalogueEntry& entry : calibration_catalogue()) {
    const std::string name(entry.name);
    for (const FamilyFit& page : read_pages(parse_json(entry.text, name), name)) pages.emplace(page.key, page);
  }
  int checked = 0;
  for (const char* file :
       {"aic_gemm_h200_b200.csv", "aic_attention_h200_b200.csv", "aic_mla_h200_b200.csv", "aic_moe_h200_b200.csv",
        "aic_wideep_moe_h200_b200.csv", "aic_nccl_h200_b200_gb200.csv", "aic_custom_allreduce_h200_b200.csv",
        "aic_deepep_normal_h200_b200.csv", "aic_deepep_ll_h200_b200.csv", "aic_alltoall_gb200_nvl72.csv",
        "infersim_gemm_h800_h20.csv", "infersim_grouped_gemm_h800_h20.csv", "infersim_attention_h800_h20.csv",
        "llmcompass_a100.csv", "vidur_h100_mlp.csv", "simumax_ops_b200_a100.csv"}) {
    const std::optional<std::string> path = measurements(file);
    if (!path) continue;
    for (const FamilyData& family : read_families(*path)) {
      INFO(file << ": " << family.key.device << " " << family.key.operation << " " << family.key.library << " " << family.key.dtype);
      if (family.check_only || family.observations.measured.size() < 20) continue;
      REQUIRE(pages.contains(family.key));
      const FamilyFit& page = pages.at(family.key);
      // In-sample is never worse than held out, up to the digits that the file keeps.
      CHECK(summarise(log_ratios(family, page)).mean < 1.05 * page.held_out.mean);
      ++checked;
    }
  }
  if (std::getenv("MOELINE_MEASUREMENTS") != nullptr) CHECK(checked > 100);
}

}  // namespace moeline
