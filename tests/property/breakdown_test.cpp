// Do the parts of an answer add up to it, and does the whole scale as its parts?
#include <fmt/format.h>
#include <catch2/catch.hpp>

#include "scenarios.hpp"

using namespace moeline;
using Catch::WithinRel;

namespace {

std::vector<Trial> trials() {
  const Trial pipelined = small().with({"/parallelism/pp=2", "/parallelism/vpp=2"});
  return {small(),
          fine_grained(),
          small().with({"/parallelism/tp=4", "/parallelism/ep=4"}),
          small().with({"/workload/recompute=full"}),
          small().with({"/routing/popularity=uniform"}),
          small().with({"/parallelism/zero=0"}),
          small().with({"/parallelism/zero=3", "/workload/overlap=[\"dp_reduce\", \"param_gather\"]"}),
          small().with({"recipe=fp8_block"}),
          pipelined,
          pipelined.with({"/workload/overlap=[\"ep_1f1b\", \"pp\", \"dp_reduce\", \"param_gather\"]"}),
          small().with({"/parallelism/pp=2", "/parallelism/schedule=gpipe"})};
}

// The machine with every rate multiplied by `c`, and latencies too short to count.
Trial scaled(const Trial& base, double c) {
  const Gpu& gpu = std::get<Gpu>(base.scenario().cluster.device);
  const auto rate = [&](const char* field, double value, const char* unit) {
    return fmt::format("/hardware/{}={:.17g} {}", field, c * value, unit);
  };
  // Sparse peaks go up first: a dense peak above the sparse one is refused.
  return base.with(
      {"/hardware/device/sparse_peak/bf16=90 PFLOP/s", "/hardware/device/sparse_peak/fp8=90 PFLOP/s",
       rate("device/hbm_bandwidth", gpu.hbm_bandwidth.value.in(terabyte_per_second), "TB/s"),
       rate("device/dense_peak/bf16", gpu.dense_peak.bf16->value.in(teraflop_per_second), "TFLOP/s"),
       rate("device/dense_peak/fp8", gpu.dense_peak.fp8->value.in(teraflop_per_second), "TFLOP/s"),
       rate("fabric/0/bandwidth", base.scenario().cluster.fabric[0].bandwidth.value.in(gigabyte_per_second), "GB/s"),
       rate("fabric/1/bandwidth", base.scenario().cluster.fabric[1].bandwidth.value.in(gigabyte_per_second), "GB/s"),
       "/hardware/fabric/0/latency=0.000001 ns", "/hardware/fabric/1/latency=0.000001 ns"});
}

}  // namespace

TEST_CASE("exposed times of the breakdown add up to the step", "[property]") {
  for (const Trial& trial : trials()) {
    Seconds sum;
    for (const BreakdownRow& row : trial.train().breakdown.rows()) sum += row.exposed;
    REQUIRE_THAT(sum.in(second), WithinRel(trial.seconds(), 1e-9));
  }
}

TEST_CASE("every share of the step lies between nothing and all of it, and no more is exposed than is run",
          "[property]") {
  for (const Trial& trial : trials()) {
    for (const BreakdownRow& row : trial.train().breakdown.rows()) {
      INFO(row.name << " " << row.phase);
      CHECK(row.exposed >= Seconds{});
      CHECK(row.exposed <= trial.train().step.value);
      CHECK(row.exposed <= row.seconds * (1 + 1e-9));
      CHECK_FALSE(row.bound_by.empty());
    }
  }
}

TEST_CASE("a step lies inside its range", "[property]") {
  for (const Trial& trial : trials()) {
    const Range& range = trial.train().step;
    CHECK(range.p10 <= range.value);
    CHECK(range.value <= range.p90);
    CHECK(range.p10 > Seconds{});
  }
}

TEST_CASE("rates follow from the step", "[property]") {
  for (const Trial& trial : trials()) {
    const TrainEvaluation& answer = trial.train();
    REQUIRE_THAT(answer.tokens_per_second * trial.seconds(),
                 WithinRel(64.0 * 4096 * (trial.scenario().cluster.devices == 64 ? 4 : 1), 1e-9));
    REQUIRE_THAT(answer.tokens_per_second_per_device * static_cast<double>(trial.scenario().cluster.devices),
                 WithinRel(answer.tokens_per_second, 1e-9));
    CHECK(answer.mfu > 0);
    CHECK(answer.mfu < 1);
  }
}

TEST_CASE("a machine c times as fast in everything takes a step in 1/c of the time when latency is nothing",
          "[property]") {
  for (const Trial& trial : trials()) {
    const double once = scaled(trial, 1).seconds();
    for (const double c : {0.5, 2.0, 3.7}) REQUIRE_THAT(scaled(trial, c).seconds() * c, WithinRel(once, 1e-6));
  }
}

TEST_CASE("the answer to a question does not depend on having asked before", "[property]") {
  const Trial first = fine_grained();
  small();
  CHECK(fine_grained().seconds() == first.seconds());
}

TEST_CASE("a layer's rows add up to its forward and backward", "[property]") {
  for (const char* hardware : {"h100-sxm", "gb200-nvl72"}) {
    const Trial trial(Json{{"model", "qwen3-30b-a3b"},
                           {"hardware", hardware},
                           {"devices", 8},
                           {"parallelism", {{"ep", 8}}},
                           {"workload", {{"kind", "layer"}, {"tokens", 8192}}}});
    Seconds sum;
    for (const LayerRow& row : trial.layer().rows) sum += row.exposed;
    REQUIRE_THAT(sum.in(second), WithinRel((trial.layer().forward + trial.layer().backward).in(second), 1e-9));
    CHECK(trial.layer().backward > trial.layer().forward);
  }
}
