// Does a wafer's step move the right way with every input?
#include <catch2/catch.hpp>

#include "scenarios.hpp"

using namespace moeline;
using Catch::WithinRel;

namespace {

// The model of the batch-tiling paper on one CS-2.
Trial tiled(const std::string& g = "\"auto\"") {
  return Trial(parse_json(R"({"model": "qwen3-30b-a3b", "hardware": "cs-2", "devices": 1,
      "workload": {"kind": "train", "sequence": 8192, "global_batch": 1024,
                   "wafer": {"mode": "streaming", "scores": "materialised", "g": )" +
                              g + "}}}",
                          "trial.json"));
}

double rate(const Trial& trial) { return trial.train().tokens_per_second; }

}  // namespace

TEST_CASE("one tile is uniform batching", "[property]") {
  const Trial trial = tiled("1");
  const TrainEvaluation& one = trial.train();
  CHECK(one.wafer->plan.tiles() == 1);
  CHECK(one.wafer->tokens == 8192.0 * static_cast<double>(one.wafer->plan.tile));
  // Nothing but the micro-batch's own passes, fill and drain: max(stream, compute) of every part.
  CHECK_THAT(one.breakdown.exposed().in(second), WithinRel(one.step.value.in(second), 1e-9));
}

TEST_CASE("exposed times of a wafer add up to its step", "[property]") {
  for (const char* change :
       {"/workload/wafer/g=1", "/workload/wafer/g=7", "/workload/wafer/keep_inputs=recompute",
        "/workload/wafer/internals=keep", "/workload/wafer/tile_overhead=200 us", "/workload/global_batch=1000"}) {
    const Trial trial = tiled().with({change});
    INFO(change << " " << trial.why_not());
    CHECK_THAT(trial.train().breakdown.exposed().in(second), WithinRel(trial.seconds(), 1e-9));
  }
}

TEST_CASE("tokens per second never fall as the lines get faster", "[property]") {
  for (const char* conduct : {"assumed", "published_pair"}) {
    double before = 0;
    for (int gigabytes = 20; gigabytes <= 1300; gigabytes = gigabytes * 5 / 4) {
      const std::string line = std::to_string(gigabytes) + " GB/s";
      const double now = rate(
          tiled().with({"/workload/wafer/conduct=" + std::string(conduct), "/hardware/device/input_bandwidth=" + line,
                        "/hardware/device/output_bandwidth=" + line, "/hardware/fabric/0/bandwidth=" + line}));
      INFO(conduct << " at " << line);
      CHECK(now >= before);
      before = now;
    }
  }
}

TEST_CASE("automatic tiling is never slower than any fixed number of tiles", "[property]") {
  const double best = rate(tiled());
  for (const char* g : {"1", "2", "5", "16", "33", "64"}) CHECK(rate(tiled(g)) <= best * (1 + 1e-9));
}

TEST_CASE("more experts stream more and never run faster at the same tiling", "[property]") {
  double before = 1e30;
  for (const char* experts : {"8", "16", "32", "64", "128"}) {
    const double now = rate(tiled("2").with({std::string("/model/num_experts=") + experts}));
    CHECK(now <= before);
    before = now;
  }
}

TEST_CASE("weak scaling is linear, strong scaling is not", "[property]") {
  const auto at = [](int systems, int sequences) {
    return rate(
        tiled().with({"devices=" + std::to_string(systems), "/workload/global_batch=" + std::to_string(sequences)}));
  };
  const double one = at(1, 512);
  for (const int n : {2, 8, 64, 128}) CHECK_THAT(at(n, 512 * n), WithinRel(n * one, 1e-3));  // tree latency alone
  double before = 1;
  for (const int n : {8, 32, 128}) {  // 512 sequences shared out: 64, 16, 4 a system
    const double efficiency = at(n, 512) / (n * one);
    CHECK(efficiency < before);
    before = efficiency;
  }
  CHECK(before < 0.5);  // 32,768 tokens a system of the 228,000 that balance
}

TEST_CASE("what is kept, sent out or computed again costs memory, lines or cores", "[property]") {
  const Trial kept = tiled("4").with({"/workload/wafer/keep_inputs=sram"}),
              sent = tiled("4").with({"/workload/wafer/keep_inputs=offload"}),
              again = tiled("4").with({"/workload/wafer/keep_inputs=recompute"});
  CHECK(kept.memory("kept_inputs") > again.memory("kept_inputs"));
  CHECK(again.memory("kept_inputs") > sent.memory("kept_inputs"));
  CHECK(sent.bytes("layer inputs out") == sent.bytes("layer inputs back"));
  CHECK(kept.bytes("layer inputs out") == Bytes{});
  CHECK(again.bytes("weight stream") > 1.2 * kept.bytes("weight stream"));
  CHECK(again.exposed("expert GEMM") > kept.exposed("expert GEMM"));
}

TEST_CASE("gradients summed on the wafer leave it once a step", "[property]") {
  const Trial outside =
      Trial(R"({"model": {"base": "qwen3-30b-a3b", "num_hidden_layers": 4}, "hardware": "cs-3", "devices": 1,
      "workload": {"kind": "train", "sequence": 4096, "global_batch": 40, "wafer": {"g": 4, "attention_tile": 1, "mode": "streaming"}}})");
  const Trial inside = outside.with({"/workload/wafer/accumulate=wafer"});
  CHECK_THAT(outside.bytes("gradient stream") / inside.bytes("gradient stream"), WithinRel(10.0, 1e-9));
  CHECK(inside.memory("gradient_sum") > Bytes{});
  // 30.5e9 parameters in fp32 are 122 GB
  const Trial overflow = tiled("1").with({"/workload/wafer/accumulate=wafer"});
  CHECK(overflow.infeasible().reason.find("gradient_sum (122.1 GB)") != std::string::npos);
  CHECK(overflow.infeasible().advice.find("accumulate to outside") != std::string::npos);
}

TEST_CASE("a layer's passes are those of the step", "[property]") {
  const Trial layer(R"({"model": "qwen3-30b-a3b", "hardware": "cs-2", "devices": 1,
      "workload": {"kind": "layer", "tokens": 8192, "sequence": 8192}})");
  // 623 M parameters of a layer, two bytes, 150 GB/s: nothing of 8,192 tokens lasts as long.
  CHECK_THAT(layer.layer().forward.in(millisecond), WithinRel(2 * 623.12e6 / 150e9 * 1e3, 1e-3));
  Seconds shown;
  for (const LayerRow& row : layer.layer().rows) shown += row.exposed;
  const Seconds both = layer.layer().forward + layer.layer().backward;
  CHECK_THAT(shown.in(second), WithinRel(both.in(second), 1e-9));
}
