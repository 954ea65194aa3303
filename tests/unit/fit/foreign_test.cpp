// Pages of one maker's chips carried over to another's.
#include <catch2/catch.hpp>

#include "fit/calibration_file.hpp"
#include "fit/foreign.hpp"
#include "fit/gemm_data.hpp"
#include "fit/lending.hpp"
#include "spec/scenario.hpp"

namespace moeline {
namespace {

using Catch::Matchers::WithinRel;

FamilyFit page() {
  FamilyFit page{.key = {"h200-sxm", "gemm", "trtllm", "bfloat16"}};
  page.parameters = {{.name = "launch", .unit = "us"}, {.name = "tensor", .unit = "of peak"}, {.name = "memory", .unit = "of HBM"},
                     {.name = "load", .unit = "GB/s per SM"}, {.name = "token", .unit = "ns per token and SM"}};
  page.fit.values = {2.7, 0.9, 0.89, 145, 20};
  return page;
}

}  // namespace

TEST_CASE("another maker's chip keeps shares of memory, and takes its own of the tensor peak", "[unit]") {
  const Gpu h200 = gpu_named("h200-sxm"), mi300x = gpu_named("mi300x");
  const FamilyFit there = carried_over(page(), h200, "mi300x", mi300x);
  CHECK(there.fit.values[0] == 2.7);
  CHECK(there.fit.values[2] == 0.89);
  // (668.4 / 1307.4) / (794.5 / 989.4) = 0.5112 / 0.8030 = 0.6367
  CHECK_THAT(there.fit.values[1], WithinRel(0.9 * 0.6367, 1e-3));
  // 5.3 TB/s over 304 is 17.434 GB/s, 4.8 TB/s over 132 is 36.364 GB/s: 0.4794
  CHECK_THAT(there.fit.values[3], WithinRel(145 * 0.4794, 1e-3));
  CHECK_THAT(there.fit.values[4], WithinRel(20 / 0.4794, 1e-3));
}

TEST_CASE("what is carried over claims no better than 25 per cent", "[unit]") {
  for (const char* device : {"mi300x", "mi325x", "mi355x"}) {
    const Cluster cluster = read_cluster_of(Json{{"hardware", device}, {"devices", 8}}, "test");
    std::string note;
    const Calibration calibration = calibration_for(cluster, note);
    CHECK(calibration.gemm_bf16.source == Source::extrapolated);
    // ln 1.25 / 1.2816 = 0.1741
    for (const double sigma : calibration.gemm_bf16.spread.sigma) CHECK(sigma >= 0.174);
    CHECK(calibration.gemm_bf16.surface == nullptr);
  }
}

}  // namespace moeline
