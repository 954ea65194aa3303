#include "fit/calibration_file.hpp"
#include "fit/gemm_data.hpp"
#include "fit/lending.hpp"
#include "fit/pages.hpp"
#include "fit/records.hpp"

#include <catch2/catch.hpp>

#include "spec/catalogue.hpp"
#include "spec/json.hpp"

namespace moeline {
using Catch::WithinRel;

namespace {

Cluster cluster(const std::string& name) {
  const Document profile = find_hardware(name, "test");
  return read_cluster(profile.json, profile.origin);
}

}  // namespace

TEST_CASE("a device with pages of its own is fitted, its sister extrapolated and wider, a stranger at its bounds",
          "[unit]") {
  std::string note;
  const Calibration own = calibration_for(cluster("h200-sxm"), note);
  CHECK(own.gemm_bf16.source == Source::fitted);
  const Calibration sister = calibration_for(cluster("h100-sxm"), note);
  CHECK(sister.gemm_bf16.source == Source::extrapolated);
  CHECK(sister.gemm_bf16.spread.sigma[0] > own.gemm_bf16.spread.sigma[0]);
  CHECK(sister.gemm_bf16.tensor == own.gemm_bf16.tensor);
  CHECK(calibration_for(cluster("mi300x"), note).gemm_bf16.source == Source::extrapolated);
  CHECK(note == "calibration: h200-sxm (borrowed); products as trtllm runs bfloat16, fp8, sglang runs fp8_block");
}

TEST_CASE("nothing is borrowed across generations", "[unit]") {
  std::string note;
  const Calibration hopper = calibration_for(cluster("h100-sxm"), note),
                    blackwell = calibration_for(cluster("b300-sxm"), note);
  CHECK(hopper.gemm_bf16.tensor != blackwell.gemm_bf16.tensor);
  const Calibration ampere = calibration_for(cluster("a100-sxm"), note);
  CHECK(ampere.gemm_bf16.tensor != hopper.gemm_bf16.tensor);
  CHECK(ampere.attention.tensor != hopper.attention.tensor);
}

TEST_CASE("the A100's collectives reach what Hopper's do, with a stranger's spread", "[unit]") {
  std::string note;
  const Calibration hopper = calibration_for(cluster("h200-sxm"), note), ampere = calibration_for(cluster("a100-sxm"), note);
  CHECK(ampere.nccl.simple_link == hopper.nccl.simple_link);
  CHECK(ampere.nccl.source == Source::extrapolated);
  CHECK(ampere.nccl.spread.sigma[3] >= 3 * hopper.nccl.spread.sigma[3]);
}

TEST_CASE("a card of less power sustains the cube root of its share; one of more, or of another kind, what it did", "[unit]") {
  std::string note;
  const auto with_power = [&](const std::string& name, double watts) {
    Cluster changed = cluster(name);
    std::get<Gpu>(changed.device).power_cap.value = watts * watt;
    return calibration_for(changed, note);
  };
  const Calibration full = calibration_for(cluster("h100-sxm"), note), capped = with_power("h100-sxm", 500);
  // 700 W: (500 / 700)^(1/3) = 0.8939
  REQUIRE_THAT((1 - capped.gemm_bf16.throttle) / (1 - full.gemm_bf16.throttle), WithinRel(0.8939, 1e-4));
  REQUIRE_THAT((1 + full.attention.sag) / (1 + capped.attention.sag), WithinRel(0.8939, 1e-4));
  CHECK(with_power("h100-sxm", 900).gemm_bf16.throttle == full.gemm_bf16.throttle);
  // A seventh of the peak for 500 W: it is not power that holds the H20.
  CHECK(calibration_for(cluster("h20-sxm"), note).gemm_bf16.throttle == full.gemm_bf16.throttle);
}

TEST_CASE("pages of one's own price a step whatever their library is called", "[unit]") {
  const auto page = [](const std::string& operation, const std::string& library, const std::string& dtype,
                       const std::vector<Parameter>& parameters, double rate, std::size_t rows) {
    FamilyFit fit{.key = {"h200-sxm", operation, library, dtype}, .parameters = parameters};
    for (const Parameter& parameter : parameters) fit.fit.values.push_back(parameter.start);
    fit.fit.values.at(1) = rate;
    fit.fit.at_bound.assign(parameters.size(), false);
    fit.fitted.n = rows;
    fit.source = "mine";
    return to_json(fit);
  };
  Json file{{"device", "h200-sxm"}, {"families", Json::array()}};
  file["families"] = {page("gemm", "cublaslt", "bfloat16", gemm_parameters(), 0.71, 80),
                      page("gemm", "mine", "bfloat16", gemm_parameters(), 0.72, 60),
                      page("gemm", "mine", "mxfp8", gemm_parameters(), 0.51, 60),
                      page("memory_pass", "cuda-copy", "bf16", memory_parameters(), 0.9, 20),
                      page("memory_pass", "cuda-quantise-row", "mxfp8", memory_parameters(), 0.4, 20)};
  std::string note;
  const Calibration own = calibration_from(file, "mine.json", cluster("h200-sxm"), note);
  CHECK(own.gemm(DType::bf16).tensor == 0.71);  // of two libraries the one measured more
  CHECK(own.gemm(DType::bf16).source == Source::fitted);
  CHECK(own.gemm(DType::mxfp8).tensor == 0.51);  // measured as such, not per-tensor FP8 in its place
  CHECK(own.gemm(DType::fp8).source == Source::bound);
  CHECK(own.memory.memory == Approx(0.9));  // a quantiser is no pass of a norm
}

TEST_CASE("a page is read back as it was written", "[unit]") {
  FamilyFit page{.key = {"h200-sxm", "gemm", "trtllm", "bfloat16"}};
  page.parameters = {{"launch", "us", 3, 0.5, 60}};
  page.fit = {{2.75}, {false}, 0};
  page.surface = {{"m", "n"}, {{0, 4}, {7, 11, 15}}, {0.01, -0.02, 0, 0.03, 0.1, -0.1}};
  page.held_out = {.n = 10, .mean = 0.044, .median = 0.035, .p90 = 0.088, .bias = -0.001};
  page.next_decade = {.n = 3, .mean = 0.1, .median = 0.1, .p90 = 0.2, .bias = 0.02};
  page.classes = {{0, 6, 0.05, -0.01, {-0.1, 0.1}, 0.8}, {30, 4, 0.03, 0.01, {-0.05, 0.04}, 0.75}};
  page.coverage = 0.78;
  page.domain = "m 1..8";
  page.source = "someone@123";
  const Json file{{"device", "h200-sxm"}, {"families", Json::array({to_json(page)})}};
  const std::vector<FamilyFit> pages = read_pages(file, "x.json");
  REQUIRE(pages.size() == 1);
  CHECK(pages[0].key == page.key);
  CHECK(pages[0].fit.values == page.fit.values);
  CHECK(to_json(pages[0]) == to_json(page));
}

TEST_CASE("a page's spread is that of the predicted time's class, wider when it is borrowed", "[unit]") {
  Page page;
  page.fit.classes = {{0, 100, 0, 0, {-0.2, 0.2}, 0.8}, {30, 100, 0, 0, {-0.05, 0.15}, 0.8}};
  const double normal = 1.2816;  // 10-90 band of a normal law is 2 x 1.2816 sigma
  CHECK(spread_of(page).at(10 * microsecond) == Approx(0.2 / normal));
  CHECK(spread_of(page).at(30 * microsecond) == Approx(0.1 / normal));
  CHECK(spread_of(page).at(1 * second) == Approx(0.1 / normal));
  page.widening = 3;
  CHECK(spread_of(page).at(1 * second) == Approx(0.3 / normal));
}

TEST_CASE("every calibration in the catalogue stays under 200 kB and names its measurements", "[unit]") {
  for (const CatalogueEntry& entry : calibration_catalogue()) {
    INFO(entry.name);
    CHECK(entry.text.size() < 200'000);
    const Json json = parse_json(entry.text, std::string(entry.name));
    const std::vector<FamilyFit> pages = read_pages(json, std::string(entry.name));
    CHECK_FALSE(pages.empty());
    for (const FamilyFit& page : pages) CHECK(page.source.find('@') != std::string::npos);  // owner/repository@commit
  }
}

TEST_CASE("a file of one's own is fitted on its device, extrapolated on another, refused with parameters missing",
          "[unit]") {
  for (const CatalogueEntry& entry : calibration_catalogue()) {
    if (entry.name != "h200-sxm") continue;
    std::string note;
    Json file = parse_json(entry.text, "own.json");
    CHECK(calibration_from(file, "own.json", cluster("h200-sxm"), note).gemm_bf16.source == Source::fitted);
    CHECK(calibration_from(file, "own.json", cluster("b200-sxm"), note).gemm_bf16.source == Source::extrapolated);
    for (Json& page : file["families"]) page["parameters"].erase("leak");
    CHECK_THROWS_AS(calibration_from(file, "own.json", cluster("h200-sxm"), note), SpecError);
  }
}

}  // namespace moeline
