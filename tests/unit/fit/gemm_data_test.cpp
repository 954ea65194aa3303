// What does the reader of measured products count beside the product, and what does it hand to the fit?
#include "fit/gemm_data.hpp"

#include <catch2/catch.hpp>
#include <cmath>

using namespace moeline;
using Catch::WithinRel;

namespace {

// 60 invented rows: n = 128, 256, ... at k = 512 and at k = 768, one row of A.
FamilyData family(const std::string& device, const std::string& library, const std::string& dtype) {
  std::string text = "gpu,framework,kernel,dtype,m,n,k,latency_us\n";
  for (int i = 1; i <= 30; ++i) {
    for (const int k : {512, 768}) {
      text += device + "," + library + ",any," + dtype + ",1," + std::to_string(128 * i) + "," + std::to_string(k) +
              ",10\n";
    }
  }
  return gemm_families(Csv::parse(text, "invented.csv")).at(0);
}

std::vector<double> starts(const FamilyData& data) {
  std::vector<double> values;
  for (const Parameter& p : data.parameters) values.push_back(p.start);
  return values;
}

bool has(const FamilyData& data, const std::string& name) {
  for (const Parameter& p : data.parameters) {
    if (p.name == name) return true;
  }
  return false;
}

}  // namespace

TEST_CASE("one scale per tensor costs no time per row, one per row does", "[unit]") {
  CHECK_FALSE(has(family("h200_sxm", "trtllm", "fp8"), "quantise_row"));
  CHECK(has(family("h200_sxm", "vllm", "fp8"), "quantise_row"));
  CHECK_FALSE(has(family("h200_sxm", "trtllm", "bfloat16"), "quantise_element"));
}

TEST_CASE("packing weight scales takes time per column where k is a multiple of 512", "[unit]") {
  const FamilyData data = family("b200_sxm", "sglang", "fp8_block");
  REQUIRE(data.parameters.back().name == "weight_scales");
  const std::vector<double> low = starts(data);
  std::vector<double> high = low;
  high.back() += 1;  // 1 ns more per column
  // Rows 58 and 59: n = 128 x 30 = 3840, k = 512 and 768. 3840 ns or nothing.
  CHECK_THAT(data.observations.predicted(high, 58) - data.observations.predicted(low, 58), WithinRel(3.84, 1e-9));
  CHECK(data.observations.predicted(high, 59) == data.observations.predicted(low, 59));
}

TEST_CASE("a row says where it sits on the surface, what grows, and which rows it goes with", "[unit]") {
  const FamilyData data = family("h200_sxm", "trtllm", "bfloat16");
  CHECK(data.surface.axes == std::vector<std::string>{"m", "n", "k"});
  CHECK(data.coordinates.at(0) == std::vector<double>{0, 7, 9});  // m = 1, n = 128, k = 512
  CHECK(data.size.at(0) == 1);
  CHECK(data.group.at(0) != data.group.at(1));  // another k
}
