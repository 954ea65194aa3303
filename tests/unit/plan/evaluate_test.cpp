#include "plan/evaluate.hpp"

#include <algorithm>
#include <catch2/catch.hpp>

#include "scenarios.hpp"

using namespace moeline;
using Catch::Contains;
using Catch::WithinRel;

namespace {

bool warns(const Trial& trial, const std::string& code) {
  const std::vector<Warning>& list = trial.evaluation().warnings;
  return std::any_of(list.begin(), list.end(), [&](const Warning& warning) { return warning.code == code; });
}

}  // namespace

TEST_CASE("a cut that cannot be made is infeasible, with advice", "[unit]") {
  struct Row {
    const char* field;
    const char* reason;
  };
  const auto row = GENERATE(values<Row>({
      {"/parallelism/tp=3", "does not divide 16 devices"},
      {"/parallelism/ep=16", "does not divide the 8 experts"},
      {"/parallelism/dp=4", "uses 4 devices of 16"},
      {"/parallelism/etp=4", "does not divide the 16 ranks"},
      {"/workload/global_batch=24", "does not divide global_batch 24"},
      {"/parallelism/vpp=2", "vpp > 1 needs pp > 1"},
      {"/workload/pipeline_layout=Et*7L", "holds 7 layers"},
  }));
  INFO(row.field);
  const Trial trial = small().with({row.field});
  CHECK_THAT(trial.why_not(), Contains(row.reason));
  CHECK_FALSE(trial.infeasible().advice.empty());
}

TEST_CASE("every stage needs something to do", "[unit]") {
  const Trial trial = small().with({"/parallelism/pp=16", "/parallelism/ep=1"});  // 8 layers, embedding and head
  CHECK_THAT(trial.why_not(), Contains("pp x vpp = 16 stages for 8 layers"));
}

TEST_CASE("interleaving needs micro-batches in multiples of the stages", "[unit]") {
  const Trial trial =
      small().with({"/parallelism/pp=4", "/parallelism/vpp=2", "/parallelism/ep=4", "/workload/global_batch=40"});
  CHECK_THAT(trial.why_not(), Contains("multiples of pp; there are 10 for pp=4"));
}

TEST_CASE("what only GPUs have is refused or ignored aloud on a wafer", "[unit]") {
  const Trial trial = small().with({"hardware=cs-3"});
  CHECK(warns(trial, "parallelism_ignored"));
  CHECK(trial.train().parallelism.ep == 1);
  CHECK(trial.evaluation().source == Source::assumed);
  CHECK_THAT(trial.with({"recipe=fp8_block"}).why_not(), Contains("WSE-3 has no fp8 path"));
}

TEST_CASE("an answer without calibration says that it is a bound", "[unit]") {
  CHECK(warns(small(), "uncalibrated"));
  CHECK(small().evaluation().source == Source::bound);
}

TEST_CASE("an answer for balanced routing says so, one for uniform routing does not", "[unit]") {
  CHECK(warns(small(), "routing_balanced"));
  CHECK_FALSE(warns(small().with({"/routing/popularity=uniform"}), "routing_balanced"));
  CHECK_FALSE(warns(small().with({"/parallelism/ep=1", "/model/num_hidden_layers=2"}), "routing_balanced"));
}

TEST_CASE("a large bubble is pointed out", "[unit]") {
  const Trial few =
      small().with({"/parallelism/pp=4", "/parallelism/ep=4", "/workload/global_batch=8"});  // 2 micro-batches
  CHECK(warns(few, "bubble"));
  CHECK_FALSE(warns(few.with({"/workload/global_batch=512"}), "bubble"));
}

TEST_CASE("memory that only just fits is pointed out", "[unit]") {
  const double need = small().train().memory.total().in(gigabyte);
  CHECK(warns(small().with({"/hardware/device/hbm_capacity=" + std::to_string(1.02 * need) + " GB"}), "memory_tight"));
  CHECK_FALSE(
      warns(small().with({"/hardware/device/hbm_capacity=" + std::to_string(2 * need) + " GB"}), "memory_tight"));
}

TEST_CASE("the stage that binds memory is the first where it holds most micro-batches", "[unit]") {
  const Trial trial = small().with({"/parallelism/pp=4", "/parallelism/ep=4"});
  CHECK(trial.train().memory_stage == 0);
  CHECK(trial.train().cut->stage_layers.size() == 4);
}

TEST_CASE("utilisation is model FLOPs over time over the peak of the experts' format", "[unit]") {
  const Trial trial = small();
  const double h = 4096, layer = 2 * h * h + 2 * h * 1024 + h * 4096 + 2 * 3 * h * 14336;  // multiply-adds per token
  const double flops = 64 * 4096 * 6 * (8 * layer + h * 32000);
  REQUIRE_THAT(trial.train().mfu, WithinRel(flops / 16 / trial.seconds() / 989.4e12, 1e-9));
  CHECK(trial.train().mfu_format == "bf16");
}

TEST_CASE("dp is what the other degrees leave", "[unit]") {
  CHECK(small().train().parallelism.dp == 16);
  CHECK(small().with({"/parallelism/tp=2", "/parallelism/pp=2", "/parallelism/ep=4"}).train().parallelism.dp == 4);
}

TEST_CASE("a dense model has no exchange and a dense layer", "[unit]") {
  const Trial trial(R"({"model": "llama-3.1-8b", "hardware": "h100-sxm", "devices": 8,
      "parallelism": {"tp": 2}, "workload": {"kind": "train", "sequence": 4096, "global_batch": 8}})");
  CHECK_FALSE(trial.has("dispatch"));
  CHECK_FALSE(trial.has("router"));
  const Trial layer(R"({"model": "llama-3.1-8b", "hardware": "h100-sxm", "devices": 8, "parallelism": {"tp": 2},
      "workload": {"kind": "layer", "tokens": 4096}})");
  CHECK(layer.layer().kind == "dense layer");
}
