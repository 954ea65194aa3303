// Do layouts and deployments beside an answer say what they would if they were asked for?
#include "plan/neighbours.hpp"

#include <catch2/catch.hpp>
#include <algorithm>
#include <set>

#include "scenarios.hpp"

using namespace moeline;
using Catch::Contains;
using Catch::WithinAbs;

namespace {

std::vector<LayoutNeighbour> beside(const Trial& trial) {
  return layout_neighbours(trial.json(), "trial.json", trial.scenario(), Calibration{}, trial.evaluation());
}

const LayoutNeighbour& named(const std::vector<LayoutNeighbour>& list, const std::string& label) {
  const auto found = std::find_if(list.begin(), list.end(), [&](const LayoutNeighbour& n) { return n.change.label.starts_with(label); });
  INFO(label);
  REQUIRE(found != list.end());
  return *found;
}

// As the user would type it.
Trial typed(const Trial& trial, const Change& change) {
  Json json = trial.json();
  for (const std::string& field : change.set) set_field(json, field, "trial.json");
  return Trial(json);
}

Trial deepseek() {
  return Trial(R"({"model": "deepseek-v3", "hardware": "h200-sxm", "devices": 16, "parallelism": {"tp": 8, "ep": 8},
      "workload": {"kind": "serve", "input": 1024, "output": 1024, "concurrency": 64, "stack": "sglang", "kv_cache": "bf16"}})");
}
Trial apart() {
  return Trial(R"({"model": "qwen3-30b-a3b", "hardware": "gb200-nvl72", "recipe": "fp8_block", "workload": {"kind": "serve", "mode": "disaggregated",
      "input": 4096, "output": 512, "concurrency": 128, "prefill": {"workers": 2, "tp": 2, "ep": 2},
      "decode": {"workers": 1, "tp": 4, "ep": 4, "attention_dp": true}}})");
}

// A draft, an open loop, and a cut that is left to moeline.
Trial guessed() {
  return Trial(R"({"model": "llama-3.1-70b", "hardware": "h100-sxm", "workload": {"kind": "serve", "request_rate": 2},
      "speculation": {"kind": "sd", "draft": "llama-3.2-1b", "acceptance": 0.7, "draft_tokens": 3}})");
}

}  // namespace

TEST_CASE("a layout beside this one answers as if it had been asked for", "[property]") {
  const Trial trial = small();
  const std::vector<LayoutNeighbour> list = beside(trial);
  const LayoutNeighbour& halved = named(list, "ep 8 -> 4");
  REQUIRE(halved.time_change);
  CHECK_THAT(*halved.time_change, WithinAbs(trial.with({"/parallelism/ep=4"}).seconds() / trial.seconds() - 1, 1e-12));  // rounding
  const LayoutNeighbour& refused = named(list, "ep 8 -> 16");
  CHECK_FALSE(refused.time_change);
  CHECK_THAT(refused.obstacle, Contains("does not divide the 8 experts"));
  const LayoutNeighbour& hidden = named(list, "with overlap of dp_reduce");
  CHECK_THAT(*hidden.time_change, WithinAbs(trial.with({"/workload/overlap=[\"dp_reduce\"]"}).seconds() / trial.seconds() - 1, 1e-12));  // rounding
  CHECK(*named(list, "recipe bf16 -> fp8_block").time_change < 0);
}

TEST_CASE("a layer has neighbours, too", "[property]") {
  const Trial trial(R"({"model": "mixtral-8x7b", "hardware": "h100-sxm", "devices": 8, "parallelism": {"ep": 8},
      "workload": {"kind": "layer", "tokens": 4096}})");
  const std::vector<LayoutNeighbour> list = beside(trial);
  const LayoutNeighbour& halved = named(list, "ep 8 -> 4");
  const Trial asked = trial.with({"/parallelism/ep=4"});
  const Seconds now = trial.layer().forward + trial.layer().backward, then = asked.layer().forward + asked.layer().backward;
  CHECK_THAT(*halved.time_change, WithinAbs(then / now - 1, 1e-12));  // rounding
}

TEST_CASE("a deployment beside this one gives token, first token and throughput as what it tells to type does", "[property]") {
  for (const Trial& trial : {deepseek(), apart(), guessed()}) {
    const std::vector<LayoutNeighbour> list = beside(trial);
    CHECK(list.size() > 12);
    std::set<std::string> labels;
    for (const LayoutNeighbour& n : list) {
      CAPTURE(n.change.label, n.change.set, n.obstacle);
      CHECK(labels.insert(n.change.label).second);
      REQUIRE_FALSE(n.change.set.empty());
      std::string why;
      try {
        const Trial then = typed(trial, n.change);
        why = then.runs() ? "" : then.why_not();
        if (then.runs()) {
          REQUIRE(n.served);
          CHECK(n.served->tpot == then.serve().tpot.value);
          CHECK(n.served->ttft == then.serve().ttft.value);
          CHECK(n.served->tokens_per_second_per_device == then.serve().tokens_per_second_per_device);
          CHECK(n.memory == then.serve().memory.total());
        }
      } catch (const SpecError& error) {
        why = error.what();
      }
      CHECK(n.obstacle == why);
      CHECK(n.served.has_value() == why.empty());
    }
  }
}

TEST_CASE("devices stay where whole workers fit them and go with the workers where not", "[property]") {
  const std::vector<LayoutNeighbour> two = beside(deepseek());
  CHECK_THAT(named(two, "tp 8 -> 16, ep 8 -> 16").change.label, Contains("replicas 2 -> 1"));
  CHECK_THAT(named(two, "pp 1 -> 2").change.label, Contains("replicas 2 -> 1"));
  CHECK_THAT(named(two, "replicas 2 -> 4").change.label, Contains("devices 16 -> 32"));
  CHECK_THAT(named(two, "prompts apart, 1 + 1 workers").change.set.front(), Contains("disaggregated"));
  const std::vector<LayoutNeighbour> one = beside(deepseek().with({"/devices=8"}));
  CHECK_THAT(named(one, "tp 8 -> 16, ep 8 -> 16").change.label, Contains("devices 8 -> 16"));
  CHECK_THAT(named(one, "prompts apart").change.label, Contains("devices 8 -> 16"));
  CHECK_THAT(named(beside(apart()), "prefill workers 2 -> 3").change.label, Contains("devices 8 -> 10"));
}

TEST_CASE("a deployment that cannot run is listed last with its reason", "[property]") {
  const std::vector<LayoutNeighbour> list = beside(deepseek().with({"/devices=8"}));
  CHECK(std::is_partitioned(list.begin(), list.end(), [](const LayoutNeighbour& n) { return n.time_change.has_value(); }));
  const LayoutNeighbour& narrow = named(list, "tp 8 -> 4, ep 8 -> 4");  // 671 GB on four devices of 141 GB
  CHECK_FALSE(narrow.served);
  CHECK_THAT(narrow.obstacle, Contains("do not fit"));
}
