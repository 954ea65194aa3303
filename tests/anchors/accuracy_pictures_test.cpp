// docs/accuracy holds a picture of every family's held-out predictions: those of the pages carried, not of older ones.
#include <catch2/catch.hpp>
#include <filesystem>

#include "fit/pages.hpp"
#include "reports/accuracy_plot.hpp"
#include "spec/catalogue.hpp"

namespace moeline {

TEST_CASE("every carried page has its picture in docs/accuracy, with the figures it states", "[anchors]") {
  for (const CatalogueEntry& entry : calibration_catalogue()) {
    const std::string name(entry.name);
    for (const FamilyFit& page : read_pages(parse_json(entry.text, name), name)) {
      if (page.held_out.n == 0) continue;
      const std::string picture = std::string(MOELINE_SOURCE_DIR) + "/docs/accuracy/" + page.key.operation + ".svg";
      INFO(picture << ": " << panel_caption(page));
      REQUIRE(std::filesystem::exists(picture));
      CHECK(read_file(picture).find(panel_caption(page)) != std::string::npos);
    }
  }
}

}  // namespace moeline
