#include "fit/calibration_file.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "spec/catalogue.hpp"

namespace moeline {
namespace {

Cluster cluster(const std::string& name) {
  const Document profile = find_hardware(name, "test");
  return read_cluster(profile.json, profile.origin);
}

}  // namespace

TEST_CASE("a device with pages of its own is fitted, its sister extrapolated and wider, a stranger at its bounds", "[unit]") {
  std::string note;
  const Calibration own = calibration_for(cluster("h200-sxm"), note);
  CHECK(own.gemm_bf16.source == Source::fitted);
  const Calibration sister = calibration_for(cluster("h100-sxm"), note);
  CHECK(sister.gemm_bf16.source == Source::extrapolated);
  CHECK(sister.gemm_bf16.spread > own.gemm_bf16.spread);
  CHECK(sister.gemm_bf16.tensor == own.gemm_bf16.tensor);
  CHECK(calibration_for(cluster("mi300x"), note).gemm_bf16.source == Source::bound);
  CHECK(note == "calibration: none for this device, datasheet bounds");
}

TEST_CASE("nothing is borrowed across generations", "[unit]") {
  std::string note;
  const Calibration hopper = calibration_for(cluster("h100-sxm"), note), blackwell = calibration_for(cluster("b300-sxm"), note);
  CHECK(hopper.gemm_bf16.tensor != blackwell.gemm_bf16.tensor);
  const Calibration ampere = calibration_for(cluster("a100-sxm"), note);
  CHECK(ampere.gemm_bf16.tensor != hopper.gemm_bf16.tensor);
  CHECK(ampere.nccl.source == Source::bound);  // no collectives of that generation were measured
}

TEST_CASE("a page is read back as it was written", "[unit]") {
  FamilyFit page{.key = {"h200-sxm", "gemm", "trtllm", "bfloat16"}};
  page.parameters = {{"launch", "us", 3, 0.5, 60}};
  page.fit = {{2.75}, {false}, 0};
  page.held_out = {.n = 10, .mean = 0.044, .median = 0.035, .p90 = 0.088, .bias = -0.001};
  page.domain = "m 1..8";
  const Json file{{"device", "h200-sxm"}, {"source", "test"}, {"families", Json::array({to_json(page)})}};
  const std::vector<FamilyFit> pages = read_pages(file, "x.json");
  REQUIRE(pages.size() == 1);
  CHECK(pages[0].key == page.key);
  CHECK(pages[0].fit.values == page.fit.values);
  CHECK(pages[0].held_out.mean == page.held_out.mean);
}

TEST_CASE("every calibration in the catalogue stays under 200 kB and names its measurements", "[unit]") {
  for (const CatalogueEntry& entry : calibration_catalogue()) {
    INFO(entry.name);
    CHECK(entry.text.size() < 200'000);
    const Json json = parse_json(entry.text, std::string(entry.name));
    CHECK_FALSE(json["source"].get<std::string>().empty());
    CHECK_FALSE(read_pages(json, std::string(entry.name)).empty());
  }
}

TEST_CASE("a file of one's own is fitted on its device, extrapolated on another, refused with parameters missing", "[unit]") {
  for (const CatalogueEntry& entry : calibration_catalogue()) {
    if (entry.name != "h200-sxm") continue;
    std::string note;
    Json file = parse_json(entry.text, "own.json");
    CHECK(calibration_from(file, "own.json", cluster("h200-sxm"), note).gemm_bf16.source == Source::fitted);
    CHECK(calibration_from(file, "own.json", cluster("b200-sxm"), note).gemm_bf16.source == Source::extrapolated);
    file["families"][0]["parameters"].erase("leak");
    CHECK_THROWS_AS(calibration_from(file, "own.json", cluster("h200-sxm"), note), SpecError);
  }
}

}  // namespace moeline
