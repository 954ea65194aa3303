#include <catch2/catch.hpp>

#include "error_of.hpp"
#include "spec/catalogue.hpp"
#include "spec/cluster.hpp"
#include "spec/json.hpp"

using namespace moeline;
using Catch::Contains;
using Catch::StartsWith;
using Catch::WithinRel;

namespace {

const std::vector<std::string> kNames{"a100-sxm", "h100-sxm",    "h200-sxm",    "h800-sxm", "h20-sxm", "b200-sxm", "b300-sxm",
                                      "gb200-nvl72", "gb300-nvl72", "mi300x", "mi325x",  "mi355x",   "cs-2",     "cs-3"};

Json profile(const std::string& name) { return find_hardware(Json(name), "test").json; }
Cluster cluster(const std::string& name) { return read_cluster(profile(name), name + ".json"); }

std::string cluster_error_of(const Json& json) {
  return error_of([&] { read_cluster(json, "h200.json"); });
}

}  // namespace

TEST_CASE("every hardware name of the interface loads", "[unit]") {
  CHECK(hardware_catalogue().size() == kNames.size());
  for (const std::string& name : kNames) {
    INFO(name);
    const Cluster c = cluster(name);
    CHECK(c.name == name);
    CHECK_FALSE(c.fabric.empty());
    CHECK(memory_capacity(c.device) > 1.0 * gigabyte);
    CHECK(memory_capacity(c.device) < 1.0 * terabyte);
  }
}

TEST_CASE("names accept underscores and capitals", "[unit]") {
  CHECK(find_hardware("GB200_NVL72", "test").name == "gb200-nvl72");
}

TEST_CASE("an unknown machine gets the nearest name", "[unit]") {
  CHECK(error_of([] { find_hardware("h200-smx", "x.json#/hardware"); }) ==
        R"(x.json#/hardware: unknown hardware "h200-smx", did you mean "h200-sxm"?)");
  CHECK_THAT(error_of([] { find_hardware("abacus", "x.json#/hardware"); }), Contains("`moeline list`"));
  CHECK_THAT(error_of([] { find_hardware(7, "x.json#/hardware"); }), Contains("expected a hardware name"));
}

TEST_CASE("no dense peak of any profile exceeds its sparse peak", "[unit]") {
  for (const std::string& name : kNames) {
    const Cluster c = cluster(name);
    std::visit(
        [&](const auto& device) {
          for (const DType type : {DType::bf16, DType::fp8, DType::nvfp4, DType::tf32}) {
            INFO(name << " " << moeline::name(type));
            const auto& dense = device.dense_peak.of(type);
            const auto& sparse = device.sparse_peak.of(type);
            if (dense && sparse) CHECK(dense->value <= sparse->value);
          }
        },
        c.device);
  }
}

TEST_CASE("an H200 moves 4.8 TB/s, holds 141 GB and multiplies at 989 dense TFLOP/s", "[unit]") {
  const Cluster c = cluster("h200-sxm");
  const Gpu& gpu = std::get<Gpu>(c.device);
  CHECK_THAT(gpu.hbm_bandwidth.value.in(terabyte_per_second), WithinRel(4.8));
  CHECK_THAT(gpu.hbm_capacity.value.in(gigabyte), WithinRel(141.0));
  CHECK_THAT(gpu.dense_peak.of(DType::bf16)->value.in(teraflop_per_second), WithinRel(989.4));
  CHECK(gpu.dense_peak.of(DType::fp8_block)->value == gpu.dense_peak.of(DType::mxfp8)->value);  // one path
  CHECK_FALSE(gpu.dense_peak.of(DType::nvfp4).has_value());  // Hopper has no FP4 path, and none is borrowed
  CHECK(gpu.architecture == "sm_90");
  CHECK_THAT(c.fabric[1].bandwidth.value.in(gigabit_per_second), WithinRel(400.0));
}

TEST_CASE("a misspelt key is answered with the key that was meant", "[unit]") {
  Json json = profile("h200-sxm");
  json["device"]["hmb_capacity"] = json["device"]["hbm_capacity"];
  json["device"].erase("hbm_capacity");
  CHECK(cluster_error_of(json) == R"(h200.json#/device/hmb_capacity: unknown key, did you mean "hbm_capacity"?)");

  json = profile("h200-sxm");
  json["device"]["llc_capacty"] = json["device"]["hbm_capacity"];
  CHECK(cluster_error_of(json) == R"(h200.json#/device/llc_capacty: unknown key, did you mean "llc_capacity"?)");
}

TEST_CASE("a required key left out of a profile is missing", "[unit]") {
  for (const char* key : {"multiprocessors", "boost_clock", "hbm_capacity", "hbm_bandwidth", "l2_capacity", "vector_fp32",
                          "shared_memory_per_multiprocessor", "power_cap", "dense_peak", "architecture", "name"}) {
    Json json = profile("h200-sxm");
    json["device"].erase(key);
    CHECK(cluster_error_of(json) == std::string("h200.json#/device/") + key + ": missing, this key is required");
  }
  for (const char* key : {"cores", "simd_width", "clock", "sram_capacity", "sram_bandwidth", "wafer_fabric_bandwidth",
                          "input_bandwidth", "output_bandwidth", "power_cap"}) {
    Json json = profile("cs-3");
    json["device"].erase(key);
    CHECK(cluster_error_of(json) == std::string("h200.json#/device/") + key + ": missing, this key is required");
  }
}

TEST_CASE("a fact of a profile without source is refused", "[unit]") {
  Json json = profile("h200-sxm");
  json["fabric"][0]["latency"].erase("source");
  CHECK(cluster_error_of(json) == "h200.json#/fabric/0/latency/source: missing: every fact names its source");
}

TEST_CASE("no fact of any profile can lose its source unnoticed", "[unit]") {
  for (const std::string& name : kNames) {
    const Json whole = profile(name);
    const Json flat = whole.flatten();
    for (const auto& item : flat.items()) {
      if (!item.key().ends_with("/source") || item.key().starts_with("/price")) continue;
      Json json = whole;
      const Json::json_pointer at(item.key());
      json[at.parent_pointer()].erase("source");
      INFO(name << item.key());
      CHECK(cluster_error_of(json) != "no error");
    }
  }
}

TEST_CASE("dense and sparse peaks exchanged are noticed", "[unit]") {
  Json json = profile("h200-sxm");
  std::swap(json["device"]["dense_peak"], json["device"]["sparse_peak"]);
  CHECK_THAT(cluster_error_of(json), StartsWith("h200.json#/device/dense_peak: a dense peak exceeds"));
}

TEST_CASE("fabric tiers run from inner to outer and nest", "[unit]") {
  Json json = profile("h200-sxm");
  std::swap(json["fabric"][0], json["fabric"][1]);
  CHECK_THAT(cluster_error_of(json), StartsWith("h200.json#/fabric/1/span: tiers run from inner to outer"));
  json = profile("h200-sxm");
  json["fabric"][1]["span"]["value"] = 12;
  CHECK_THAT(cluster_error_of(json), Contains("must be a multiple"));
  json["fabric"] = Json::array();
  CHECK_THAT(cluster_error_of(json), Contains("at least one tier"));
}

TEST_CASE("a tier oversubscribed by two gives a device half its bandwidth", "[unit]") {
  Json json = profile("h200-sxm");
  json["fabric"][1]["oversubscription"] = 2;
  const Cluster c = read_cluster(json, "h200.json");
  CHECK_THAT(device_bandwidth(c.fabric[1]).in(gigabyte_per_second), WithinRel(25.0));  // 400 Gbit/s / 8 / 2
}

TEST_CASE("a device of unknown kind or architecture is refused", "[unit]") {
  Json json = profile("h200-sxm");
  json["device"]["kind"] = "tpu";
  CHECK_THAT(cluster_error_of(json), Contains("unknown value \"tpu\""));
  json = profile("h200-sxm");
  json["device"]["architecture"] = "sm_91";
  CHECK_THAT(cluster_error_of(json), Contains("did you mean \"sm_90\""));
}
