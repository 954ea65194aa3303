#include "plan/experts_backends.hpp"

#include <algorithm>

#include "error_of.hpp"
#include "scenarios.hpp"

using namespace moeline;
using Catch::Matchers::WithinRel;

namespace {

Trial layer(const std::string& hardware, std::int64_t tokens, const std::string& compile = "none", std::int64_t ep = 1) {
  return Trial(Json{{"model", "qwen3-30b-a3b"},
                    {"hardware", hardware},
                    {"devices", ep},
                    {"parallelism", {{"ep", ep}}},
                    {"workload", {{"kind", "layer"}, {"tokens", tokens}, {"experts_backend", "all"}, {"compile", compile}}}});
}

const BackendRow& row(const Trial& trial, ExpertsBackend backend) {
  const std::vector<BackendRow>& rows = trial.layer().backends->rows;
  const auto found = std::find_if(rows.begin(), rows.end(), [&](const BackendRow& r) { return r.backend == backend; });
  REQUIRE(found != rows.end());
  return *found;
}

}  // namespace

TEST_CASE("batched_mm holds a copy of the weights for every routed row") {
  const Trial trial = layer("h100-sxm", 16);
  // S = 16 x 8 rows: 3 S H I weights, and S (2 H + 3 I) of rows, in bf16
  const double rows = 16 * 8, hidden = 2048, width = 768;
  CHECK_THAT(row(trial, ExpertsBackend::batched_mm).temporary.in(byte),
             WithinRel(2 * (3 * rows * hidden * width + rows * (2 * hidden + 3 * width)), 1e-12));
  CHECK_THAT(row(layer("h100-sxm", 16, "default"), ExpertsBackend::batched_mm).temporary.in(byte),
             WithinRel(2 * (2 * rows * hidden * width + rows * (2 * hidden + 3 * width)), 1e-12));
  CHECK(row(trial, ExpertsBackend::grouped_mm).temporary < 0.01 * row(trial, ExpertsBackend::batched_mm).temporary);
}

TEST_CASE("few tokens favour batched_mm and many grouped_mm") {
  const std::vector<FastestFrom> fastest = layer("a100-sxm", 16).layer().backends->fastest;
  REQUIRE(fastest.size() >= 2);
  CHECK(fastest.front().tokens == 1);
  CHECK(fastest.front().backend == ExpertsBackend::batched_mm);
  CHECK(fastest.back().backend == ExpertsBackend::grouped_mm);
  for (std::size_t i = 1; i < fastest.size(); ++i) CHECK(fastest[i].tokens > fastest[i - 1].tokens);
}

TEST_CASE("the loop over experts is slowest, and without grouped kernels so is grouped_mm's own loop slower than them") {
  const Trial old = layer("a100-sxm", 256), recent = layer("h100-sxm", 256);
  for (const Trial& trial : {old, recent}) {
    for (const BackendRow& other : trial.layer().backends->rows) {
      CHECK(other.time <= row(trial, ExpertsBackend::eager).time);
    }
  }
  CHECK(row(old, ExpertsBackend::grouped_mm).host > row(recent, ExpertsBackend::grouped_mm).host);
  CHECK(old.layer().backends->rows.size() == 3);  // deepgemm takes sm_90
  CHECK(recent.layer().backends->rows.size() == 4);
}

TEST_CASE("expert parallelism of replicated tokens sums the outputs of all ranks") {
  const Trial one = layer("h100-sxm", 1024), eight = layer("h100-sxm", 1024, "none", 8);
  CHECK(row(one, ExpertsBackend::grouped_mm).all_reduce == Seconds{});
  // 2 (N-1)/N T H bytes a rank over 450 GB/s: 7.3 MB, 16 us, and some microseconds of hops
  const double sum = row(eight, ExpertsBackend::grouped_mm).all_reduce.in(microsecond);
  CHECK(sum >= 1024 * 2048 * 2 * 7 / 8.0 / 450e9 * 1e6);
  CHECK(sum < 60);
  CHECK_THAT(row(eight, ExpertsBackend::batched_mm).temporary.in(byte),
             WithinRel(row(one, ExpertsBackend::batched_mm).temporary.in(byte) / 8, 1e-12));
}

TEST_CASE("backends are asked of models with experts, on GPUs, by names that exist") {
  const auto refused = [](const std::string& model, const std::string& hardware, const std::string& backend) {
    return error_of([&] {
      read_scenario(Json{{"model", model}, {"hardware", hardware}, {"workload", {{"kind", "layer"}, {"experts_backend", backend}}}},
                    "trial.json");
    });
  };
  CHECK(refused("llama-3.1-8b", "h100-sxm", "all") == "trial.json#/workload/experts_backend: llama-3.1-8b has no experts");
  CHECK(refused("mixtral-8x7b", "cs-3", "all") == "trial.json#/workload/experts_backend: these backends run on GPUs");
  CHECK_THAT(refused("mixtral-8x7b", "h100-sxm", "group_mm"), Catch::Contains("did you mean \"grouped_mm\""));
}
