#include "spec/scenario.hpp"

#include <algorithm>
#include <catch2/catch.hpp>

#include "error_of.hpp"
#include "spec/json.hpp"

using namespace moeline;
using Catch::Contains;
using Catch::StartsWith;
using Catch::WithinRel;

namespace {

Json training() {
  return parse_json(R"({"model": "mixtral-8x7b", "hardware": "h200-sxm", "devices": 64, "recipe": "bf16",
      "parallelism": {"tp": 1, "pp": 1, "ep": 8},
      "workload": {"kind": "train", "sequence": 4096, "global_batch": 1024, "micro_batch": 1}})",
                    "x.json");
}

Scenario scenario_of(const Json& json) { return read_scenario(json, "x.json"); }
std::string scenario_error_of(const Json& json) {
  return error_of([&] { read_scenario(json, "x.json"); });
}
std::string set_error_of(const std::string& text) {
  Json json = training();
  return error_of([&] { set_field(json, text, "x.json"); });
}
Scenario with(const std::string& text) {
  Json json = training();
  set_field(json, text, "x.json");
  return scenario_of(json);
}
std::string with_error_of(const std::string& text) {
  return error_of([&] { with(text); });
}
bool assumes(const Scenario& scenario, const std::string& text) {
  return std::any_of(scenario.assumptions.begin(), scenario.assumptions.end(),
                     [&](const std::string& assumption) { return assumption.find(text) != std::string::npos; });
}

}  // namespace

TEST_CASE("a scenario is read as written", "[unit]") {
  const Scenario s = scenario_of(training());
  CHECK(s.cluster.name == "h200-sxm");
  CHECK(s.cluster.devices == 64);
  CHECK(s.model.name == "mixtral-8x7b");
  CHECK(s.model.layers.size() == 32);
  CHECK(s.recipe.name == "bf16");
  CHECK(s.parallelism.ep == 8);
  CHECK(std::get<TrainWorkload>(s.workload).global_batch == 1024);
}

TEST_CASE("what a scenario leaves out is listed under assumptions", "[unit]") {
  Json json = training();
  json.erase("devices");
  json.erase("recipe");
  const Scenario s = scenario_of(json);
  CHECK(s.cluster.devices == 8);
  CHECK(s.recipe.name == "bf16");
  CHECK(assumes(s, "devices: 8 (one node)"));
  CHECK(assumes(s, "recipe: bf16"));
  CHECK(assumes(s, "routing: balanced"));
  CHECK(assumes(s, "overlap: dp_reduce param_gather"));
  CHECK(assumes(s, "transport: nccl"));  // 8 experts ranks fit a node
}

TEST_CASE("what a scenario says is no assumption", "[unit]") {
  Json json = training();
  json["routing"] = {{"popularity", "uniform"}};
  json["workload"]["overlap"] = Json::array();
  json["workload"]["transport"] = "deepep";
  const Scenario s = scenario_of(json);
  for (const char* word : {"devices", "recipe", "routing", "overlap", "transport"}) CHECK_FALSE(assumes(s, word));
  CHECK(std::get<TrainWorkload>(s.workload).overlap.empty());
  CHECK(std::get<TrainWorkload>(s.workload).transport == Transport::deepep);
}

TEST_CASE("expert traffic across nodes is assumed to travel by DeepEP, in an NVL72 domain by HybridEP", "[unit]") {
  Json json = training();
  json["model"] = "deepseek-v3";
  json["parallelism"]["ep"] = 64;
  CHECK(std::get<TrainWorkload>(scenario_of(json).workload).transport == Transport::deepep);
  json["hardware"] = "gb200-nvl72";
  CHECK(std::get<TrainWorkload>(scenario_of(json).workload).transport == Transport::hybridep);
}

TEST_CASE("the resolved scenario reads back to itself", "[unit]") {
  const Scenario first = scenario_of(training());
  const Scenario second = scenario_of(first.resolved);
  CHECK(second.resolved == first.resolved);
}

TEST_CASE("a scenario without machine, model or workload says what to add", "[unit]") {
  Json json = training();
  json.erase("hardware");
  CHECK(scenario_error_of(json) == "x.json#/hardware: missing, name a machine: --hardware h200-sxm");
  json = training();
  json.erase("model");
  CHECK(scenario_error_of(json) == "x.json#/model: missing, name a model: --model deepseek-v3");
  json = training();
  json.erase("workload");
  CHECK_THAT(scenario_error_of(json), StartsWith("x.json#/workload: missing"));
  CHECK_THAT(scenario_error_of(Json::array()), Contains("expected an object"));
}

TEST_CASE("unknown names in a scenario get the nearest", "[unit]") {
  CHECK_THAT(with_error_of("model=mixtral-8x7"), Contains("did you mean \"mixtral-8x7b\""));
  CHECK_THAT(with_error_of("hardware=h20-smx"), Contains("did you mean \"h20-sxm\""));
  CHECK_THAT(with_error_of("recipe=fp8-block"), Contains("did you mean \"fp8_block\""));
  CHECK_THAT(with_error_of("workload/kind=trian"), Contains("did you mean \"train\""));
  CHECK_THAT(with_error_of("workload/recompute=[\"moe_atc\"]"), Contains("did you mean \"moe_act\""));
  CHECK_THAT(with_error_of("workload/overlap=[\"dp_reduced\"]"), Contains("did you mean \"dp_reduce\""));
  CHECK_THAT(with_error_of("workload/transport=deep-ep"), Contains("did you mean \"deepep\""));
  CHECK_THAT(with_error_of("workload/globl_batch=8"), Contains("did you mean \"global_batch\""));
  CHECK_THAT(with_error_of("routing/popularity=balancd"), Contains("did you mean \"balanced\""));
  CHECK_THAT(with_error_of("devises=8"), Contains("x.json#/devises: unknown key, did you mean \"devices\"?"));
}

TEST_CASE("zero, negative, fractional and overflowing values are refused", "[unit]") {
  for (const char* field : {"devices", "workload/sequence", "workload/global_batch", "workload/micro_batch",
                            "parallelism/tp", "parallelism/pp", "parallelism/ep", "parallelism/dp"}) {
    for (const char* value : {"0", "-1", "1.5", "1e18", "9223372036854775807", "18446744073709551615", "\"8\"", "true", "[]"}) {
      const std::string text = std::string(field) + "=" + value;
      INFO(text);
      CHECK_THAT(with_error_of(text), Contains(field));
    }
  }
}

TEST_CASE("a field is set by pointer, with or without its first slash", "[unit]") {
  CHECK(with("/parallelism/ep=4").parallelism.ep == 4);
  CHECK(with("parallelism/ep=4").parallelism.ep == 4);
  CHECK(std::get<TrainWorkload>(with("/workload/micro_batch=2").workload).micro_batch == 2);
  CHECK(with("recipe=mxfp8").recipe.name == "mxfp8");
  CHECK(with("/recipe=\"mxfp8\"").recipe.name == "mxfp8");
}

TEST_CASE("a fact of the machine is set by its bare value, and its source says so", "[unit]") {
  for (const char* text : {"/hardware/device/hbm_bandwidth=6 TB/s", "/cluster/device/hbm_bandwidth=6 TB/s",
                           "/hardware/device/hbm_bandwidth/value=6 TB/s"}) {
    INFO(text);
    const Scenario s = with(text);
    const Gpu& gpu = std::get<Gpu>(s.cluster.device);
    CHECK_THAT(gpu.hbm_bandwidth.value.in(terabyte_per_second), WithinRel(6.0));
    CHECK(gpu.hbm_bandwidth.source == "set by the user");
    CHECK(gpu.hbm_capacity.source != "set by the user");
  }
}

TEST_CASE("a tier of the fabric is reached by its index", "[unit]") {
  CHECK_THAT(with("/hardware/fabric/1/bandwidth=800 Gbit/s").cluster.fabric[1].bandwidth.value.in(gigabyte_per_second),
             WithinRel(100.0));
  CHECK_THAT(set_error_of("/hardware/fabric/2/bandwidth=1 GB/s"), Contains("is not an index of an array of 2"));
  CHECK_THAT(set_error_of("/hardware/fabric/x/bandwidth=1 GB/s"), Contains("is not an index"));
  CHECK_THAT(set_error_of("/hardware/fabric/-1/bandwidth=1 GB/s"), Contains("is not an index"));
}

TEST_CASE("a field of the model's config is set by name, and the model keeps its name", "[unit]") {
  const Scenario s = with("/model/num_hidden_layers=4");
  CHECK(s.model.layers.size() == 4);
  CHECK_THAT(s.model.name, Contains("mixtral-8x7b"));
}

TEST_CASE("a setting that cannot be read or placed is refused", "[unit]") {
  CHECK_THAT(set_error_of("/parallelism/ep"), Contains("expected POINTER=VALUE"));
  CHECK_THAT(set_error_of("=4"), Contains("expected POINTER=VALUE"));
  CHECK_THAT(set_error_of("/devices/x=4"), Contains("nothing lies below"));
  CHECK(with_error_of("/parallelism/eq=4") != "no error");
  CHECK(with_error_of("/hardware/device/hbm_bandwidth=6") != "no error");    // no unit
  CHECK(with_error_of("/hardware/device/hbm_bandwidth=6 TB") != "no error");  // wrong dimension
  CHECK(with_error_of("/hardware/device/hbm_bandwith=6 TB/s") != "no error");
}

TEST_CASE("a machine can be a catalogue name with changes", "[unit]") {
  Json json = training();
  json["hardware"] = parse_json(R"({"base": "h200-sxm", "device": {"hbm_bandwidth": "6 TB/s",
      "hbm_capacity": {"value": "192 GB"}, "l2_capacity": {"value": "60 MiB", "source": "a guess", "inferred": true}}})",
                                "x.json");
  const Scenario s = scenario_of(json);
  const Gpu& gpu = std::get<Gpu>(s.cluster.device);
  CHECK_THAT(gpu.hbm_bandwidth.value.in(terabyte_per_second), WithinRel(6.0));
  CHECK(gpu.hbm_bandwidth.source == "set by the user");
  CHECK_THAT(gpu.hbm_capacity.value.in(gigabyte), WithinRel(192.0));
  CHECK(gpu.hbm_capacity.source == "set by the user");
  CHECK(gpu.l2_capacity.source == "a guess");
  CHECK(gpu.power_cap.source != "set by the user");
}

TEST_CASE("changes to an inferred fact do not leave it inferred", "[unit]") {
  const Scenario s = with("/hardware/device/l2_capacity=60 MiB");
  CHECK_FALSE(std::get<Gpu>(s.cluster.device).l2_capacity.inferred);
}

TEST_CASE("a model can be a catalogue name with changes", "[unit]") {
  Json json = training();
  json["model"] = parse_json(R"({"base": "mixtral-8x7b", "num_hidden_layers": 4})", "x.json");
  const Scenario s = scenario_of(json);
  CHECK(s.model.layers.size() == 4);
  CHECK(s.model.name == "mixtral-8x7b (changed)");
}

TEST_CASE("a misspelt field of a change is refused, not ignored", "[unit]") {
  Json json = training();
  json["hardware"] = parse_json(R"({"base": "h200-sxm", "device": {"hbm_bandwith": "6 TB/s"}})", "x.json");
  CHECK(scenario_error_of(json) ==
        R"(x.json#/hardware/device/hbm_bandwith: unknown key, did you mean "hbm_bandwidth"?)");
  json = training();
  json["model"] = parse_json(R"({"base": "mixtral-8x7b", "num_hiden_layers": 4})", "x.json");
  CHECK_THAT(scenario_error_of(json), Contains("num_hiden_layers"));
}

TEST_CASE("a base that is unknown or no name is refused", "[unit]") {
  Json json = training();
  json["hardware"] = {{"base", "h200-smx"}};
  CHECK_THAT(scenario_error_of(json), StartsWith("x.json#/hardware/base: unknown hardware \"h200-smx\""));
  json["hardware"] = {{"base", 7}};
  CHECK_THAT(scenario_error_of(json), StartsWith("x.json#/hardware/base: expected the name"));
}

TEST_CASE("a path that is not there is named", "[unit]") {
  CHECK(with_error_of("model=nowhere/config.json") ==
        "nowhere/config.json: cannot be read: no such file, or no permission");
}

TEST_CASE("more MTP modules than the model has are refused, naming the file", "[unit]") {
  CHECK_THAT(with_error_of("workload/mtp_layers=1"), StartsWith("x.json#/workload/mtp_layers: "));
}

TEST_CASE("a recipe is a name with changes", "[unit]") {
  const Scenario s = with(R"(recipe={"base": "fp8_block", "combine_wire": "bf16", "dispatch_wire": "fp8"})");
  CHECK(s.recipe.linear == DType::fp8_block);
  CHECK(s.recipe.dispatch_wire == DType::fp8);
  CHECK_THAT(with_error_of(R"(recipe={"base": "fp8_block", "expert": "fp9"})"), Contains("unknown format \"fp9\""));
}

TEST_CASE("one layer is a workload of its own", "[unit]") {
  Json json = training();
  json["workload"] = {{"kind", "layer"}, {"tokens", 8192}};
  const LayerWorkload layer = std::get<LayerWorkload>(scenario_of(json).workload);
  CHECK(layer.tokens == 8192);
  json["workload"]["global_batch"] = 8;
  CHECK_THAT(scenario_error_of(json), StartsWith("x.json#/workload/global_batch: unknown key"));
}

TEST_CASE("a model cut to its first layers keeps the first entries of its per-layer lists", "[unit]") {
  const Document cut = find_model(Json{{"base", "gpt-oss-120b"}, {"num_hidden_layers", 4}}, "test");
  CHECK(cut.json["layer_types"].size() == 4);  // 36 in the catalogue
  CHECK(read_model(cut.json, cut.origin, cut.name).layers.size() == 4);
  // Longer than published has no list to take from: said, not guessed.
  const Document longer = find_model(Json{{"base", "gpt-oss-120b"}, {"num_hidden_layers", 40}}, "test");
  CHECK_THROWS_AS(read_model(longer.json, longer.origin, longer.name), SpecError);
}
