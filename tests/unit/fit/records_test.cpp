#include "fit/records.hpp"

#include <catch2/catch.hpp>

#include "error_of.hpp"
#include "spec/json.hpp"

using namespace moeline;
using Catch::WithinRel;

namespace {

std::string record(const std::string& op, const std::string& shape, double seconds,
                   const std::string& device = "h200-sxm") {
  return R"({"op":")" + op + R"(","device":")" + device + R"(","backend":"cuda","shape":)" + shape +
         R"(,"dtype":"bf16","seconds":{"median":)" + std::to_string(seconds) +
         R"(,"n":50},"clock_hz":1.98e9,"run":"a"})" + "\n";
}

}  // namespace

TEST_CASE("records become one family per op, in microseconds", "[unit]") {
  const std::string text = record("gemm", R"({"m":16,"n":4096,"k":4096})", 0.00002) +
                           record("memory_pass", R"({"bytes":4800000000})", 0.00125) + "\n" +
                           record("collective", R"({"kind":"all_reduce","ranks":8,"bytes":1048576})", 0.00003) +
                           record("all_to_all", R"({"ranks":8,"bytes":1048576})", 0.00004) +
                           record("grouped_gemm", R"({"groups":32,"m":128,"n":4096,"k":7168})", 0.0004);
  const std::vector<FamilyData> families = record_families(text, "here.jsonl");
  REQUIRE(families.size() == 4);  // collective and all_to_all share their parameters
  CHECK(families[0].key == FamilyKey{"h200-sxm", "collective", "cuda", "all"});
  CHECK(families[0].observations.measured.size() == 2);
  CHECK(families[1].key.dtype == "bfloat16");  // as the pages of products
  CHECK_THAT(families[1].observations.measured.at(0), WithinRel(20.0, 1e-9));
  CHECK(families[3].key.operation == "memory_pass");
  // 4.8 GB at half of 4.8 TB/s is 2,000 us, after a launch of 3
  CHECK_THAT(families[3].observations.predicted(std::vector<double>{3, 0.5}, 0), WithinRel(2003.0, 1e-9));
  for (const FamilyData& family : families) {
    CHECK(family.check_only);  // far fewer than 50
    std::vector<double> start;
    for (const Parameter& p : family.parameters) start.push_back(p.start);
    CHECK(family.observations.predicted(start, 0) > 1);
  }
}

TEST_CASE("records of one case are one row, the middle of them", "[unit]") {
  std::string text;
  for (const char* median : {"3e-3", "1e-3", "2e-3"}) {
    text += std::string(R"({"op": "gemm", "device": "h200-sxm", "backend": "cublas", "shape": {"m": 1, "n": 2, "k": 3}, )") +
            R"("dtype": "bf16", "seconds": {"median": )" + median + "}}\n";
  }
  const std::vector<FamilyData> families = record_families(text, "three");
  REQUIRE(families.size() == 1);
  REQUIRE(families[0].observations.measured.size() == 1);
  CHECK_THAT(families[0].observations.measured[0], Catch::WithinRel(2000, 1e-12));  // microseconds, rounded
}

TEST_CASE("records that nothing prices are counted by reason", "[unit]") {
  const std::string text = record("top_k", R"({"rows":4})", 0.001) + record("top_k", R"({"rows":8})", 0.001) +
                           record("gemm", R"({"m":16,"n":64,"k":64})", 0.001, "my-laptop");
  const std::vector<FamilyData> families = record_families(text, "here.jsonl");
  REQUIRE(families.size() == 2);
  CHECK(families[0].skipped.at("an op without a family") == 2);
  CHECK(families[1].skipped.at("no hardware profile of this name") == 1);
}

TEST_CASE("a processor's records bring their own profile and are priced by it", "[unit]") {
  const auto fact = [](const char* value) { return Json{{"value", value}, {"source", "test"}}; };
  Json device{{"kind", "host"}, {"name", "two cores"}, {"cores", {{"value", 2}, {"source", "test"}}}};
  for (const auto& [key, value] : {std::pair{"clock", "3 GHz"}, std::pair{"peak", "200 GFLOP/s"}, std::pair{"memory_capacity", "8 GB"},
                                   std::pair{"memory_bandwidth", "40 GB/s"}, std::pair{"last_level_cache", "32 MiB"},
                                   std::pair{"core_cache", "1 MiB"}, std::pair{"power_cap", "10 W"}}) {
    device[key] = fact(value);
  }
  const Json tier{{"name", "memory"}, {"kind", "switch"}, {"span", {{"value", 2}, {"source", "test"}}}, {"bandwidth", fact("40 GB/s")}, {"latency", fact("0.1 us")}};
  const Json machine{{"machine", {{"name", "cpu-two-cores"}, {"device", device}, {"fabric", Json::array({tier})}}}};
  const Record pass{.op = "quantise", .device = "cpu-two-cores", .backend = "host", .kind = "both", .dtype = "mxfp8",
                    .shape = {{"rows", 1000}, {"columns", 1000}}, .seconds = {.median = 2e-4, .p10 = 1e-4, .p90 = 3e-4, .n = 9}};
  const std::string text = machine.dump() + "\n" + record_text(pass) + "\n" + record("gemm", R"({"m":64,"n":64,"k":64})", 0.001, "cpu-two-cores");
  const std::vector<FamilyData> families = record_families(text, "here.jsonl");
  REQUIRE(families.size() == 2);
  CHECK(families[0].observations.predicted(std::vector<double>{3, 0.8, 0.1, 0.5, 120, 100, 90, 2.5, 0.2, 0.6}, 0) > 3);
  CHECK(families[1].key == FamilyKey{"cpu-two-cores", "memory_pass", "host-quantise-both", "mxfp8"});
  // 1e6 elements: 2 bytes read, 2 x 8.25 / 8 written, at half of 40 GB/s, after a launch of 1 us
  CHECK_THAT(families[1].observations.predicted(std::vector<double>{1, 0.5}, 0), WithinRel(1 + 4.0625e6 / 20e9 * 1e6, 1e-9));
}

TEST_CASE("a broken record is named by its line", "[unit]") {
  const std::string good = record("memory_pass", R"({"bytes":1000})", 0.001);
  CHECK(error_of([&] { record_families(good + "\n{\"op\":\"gemm\"", "here.jsonl"); }).find("here.jsonl:3") !=
        std::string::npos);
  CHECK(error_of([&] {
          record_families(good + record("gemm", R"({"m":16,"n":64})", 0.001), "here.jsonl");
        }).find("here.jsonl:2") != std::string::npos);
}
