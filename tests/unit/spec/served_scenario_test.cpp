#include "spec/serving.hpp"

#include <catch2/catch.hpp>

#include "error_of.hpp"
#include "spec/scenario.hpp"

using namespace moeline;
using Catch::Contains;

namespace {

ServeWorkload serving(const std::string& workload, const std::string& rest) {
  const std::string text = R"({"model": "deepseek-v3", "hardware": "h200-sxm", "workload": {"kind": "serve")" + workload + "}" + rest + "}";
  return std::get<ServeWorkload>(read_scenario(parse_json(text, "s.json"), "s.json").workload);
}

}  // namespace

TEST_CASE("experts that ep does not spread over all ranks are cut among the rest", "[unit]") {
  const ServeLayout plain = layout_of({.tp = 8}, 256);
  CHECK(plain.etp == 8);
  CHECK(plain.devices() == 8);
  const ServeLayout spread = layout_of({.tp = 8, .ep = 8}, 256);
  CHECK(spread.etp == 1);
  CHECK(spread.dp == 1);
  const ServeLayout half = layout_of({.tp = 8, .ep = 2}, 256);
  CHECK(half.etp == 4);  // 2 x 4 = 8 ranks
}

TEST_CASE("data-parallel attention turns tp into groups of their own", "[unit]") {
  const ServeLayout l = layout_of({.tp = 8, .ep = 8, .attention_dp = true}, 256);
  CHECK(l.tp == 1);
  CHECK(l.dp == 8);
  CHECK(l.ep == 8);
  CHECK(l.devices() == 8);
  // Experts over more ranks than attention is cut into say the same without being told.
  CHECK(layout_of({.tp = 1, .ep = 32}, 256).dp == 32);
  CHECK(layout_of({.tp = 4, .ep = 32}, 256).dp == 8);
}

TEST_CASE("a dense model has no experts to spread", "[unit]") {
  const ServeLayout l = layout_of({.tp = 4, .ep = 4}, 0);
  CHECK(l.ep == 1);
  CHECK(l.etp == 1);
  CHECK(l.devices() == 4);
}

TEST_CASE("pools of a disaggregated deployment have cuts of their own", "[unit]") {
  const ServeWorkload w = serving(R"(, "mode": "disaggregated", "prefill": {"workers": 3, "tp": 4, "ep": 4},
      "decode": {"workers": 1, "tp": 16, "ep": 16, "attention_dp": true})", R"(, "parallelism": {"tp": 8})");
  CHECK(w.prefill.devices() == 12);
  CHECK(w.decode.layout.dp == 16);
  const std::string text =
      R"({"model": "deepseek-v3", "hardware": "h200-sxm", "workload": {"kind": "serve", "prefill": {"tp": 4}}})";
  CHECK_THAT(error_of([&] { read_scenario(parse_json(text, "s.json"), "s.json"); }), Contains("disaggregated"));
}

TEST_CASE("a deployment takes no balancer that its iterations do not pay for", "[unit]") {
  CHECK_THAT(error_of([] { serving("", R"(, "routing": {"popularity": "zipf", "alpha": 1, "balancer": "dynamic"})"); }),
             Contains("#/routing/balancer: dynamic replication is priced in training; of a deployment eplb is"));
  CHECK_NOTHROW(serving("", R"(, "routing": {"popularity": "zipf", "alpha": 1, "balancer": "eplb"})"));
}

TEST_CASE("a served checkpoint keeps its own formats, and takes as few devices as hold it", "[unit]") {
  const auto read = [](const char* text) { return read_scenario(parse_json(text, "s.json"), "s.json"); };
  const Scenario r1 = read(R"({"model": "deepseek-v3", "hardware": "h200-sxm", "workload": {"kind": "serve"}})");
  CHECK(r1.recipe.expert == DType::fp8_block);
  CHECK(r1.cluster.devices == 8);  // 671 GB in FP8 over 141 GB each
  const Scenario oss = read(R"({"model": "gpt-oss-120b", "hardware": "h100-sxm", "workload": {"kind": "serve"}})");
  CHECK(oss.recipe.expert == DType::mxfp4);
  CHECK(oss.recipe.linear == DType::bf16);
}

TEST_CASE("what a resolved scenario says is read back as the same", "[unit]") {
  const char* text = R"({"model": "deepseek-v3", "hardware": "h200-sxm", "devices": 16, "parallelism": {"tp": 8, "ep": 8},
      "workload": {"kind": "serve", "input": 2048, "output": 512, "concurrency": 32, "attention_dp": true}})";
  const Scenario once = read_scenario(parse_json(text, "s.json"), "s.json");
  const Scenario twice = read_scenario(once.resolved, "again.json");
  CHECK(std::get<ServeWorkload>(once.workload).decode == std::get<ServeWorkload>(twice.workload).decode);
  CHECK(once.cluster.devices == twice.cluster.devices);
}

TEST_CASE("misspelt and contradictory wishes are refused", "[unit]") {
  const auto said = [](const char* workload) { return error_of([&] { serving(workload, ""); }); };
  CHECK_THAT(said(R"(, "concurency": 4)"), Contains("did you mean \"concurrency\""));
  CHECK_THAT(said(R"(, "stack": "vlm")"), Contains("did you mean \"vllm\""));
  CHECK_THAT(said(R"(, "concurrency": 4, "request_rate": 2)"), Contains("closed or open"));
}
