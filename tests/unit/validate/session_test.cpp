#include "validate/session.hpp"

#include <catch2/catch.hpp>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <fstream>

#include "error_of.hpp"
#include "fit/measurement.hpp"
#include "spec/json.hpp"
#include "validate/routed.hpp"

using namespace moeline;

namespace {

class Always : public Run {
 public:
  explicit Always(bool right) : right_(right) {}
  Check check() override { return {right_, right_ ? 1e-4 : 0.5, 1e-3, right_ ? "" : "element 3 was not written"}; }
  Sample sample(Caches caches) override { return {caches == Caches::cold ? 2e-3 : 1e-3}; }

 private:
  bool right_;
};

// Two libraries for products, one of which computes nonsense.
class Pretended : public Backend {
 public:
  Machine machine() override { return {.device = "h200-sxm", .title = "pretended", .versions = {{"driver", "1"}}}; }
  std::vector<std::string> libraries(const Case& wanted) const override {
    return wanted.op == "gemm" ? std::vector<std::string>{"right", "wrong"} : std::vector<std::string>{};
  }
  std::unique_ptr<Run> prepare(const Case& wanted) override {
    ++prepared;
    return std::make_unique<Always>(wanted.library == "right");
  }
  int prepared = 0;
};

struct Scratch {
  std::string path = (std::filesystem::temp_directory_path() / "moeline_session_test.jsonl").string();
  Scratch() { std::remove(path.c_str()); }
  ~Scratch() { std::remove(path.c_str()); }
};

Suite suite_of(std::string_view text) { return read_suite(parse_json(text, "suite"), "suite"); }

Counts measured(Pretended& backend, const Suite& suite, const std::string& path) {
  LoadedBackend loaded{std::make_unique<Pretended>(), "host", backend.machine()};
  RecordFile file(path, loaded.machine);
  const Counts counts =
      measure_cases(loaded, suite, tasks_of(suite.cases, file), "now", [](std::size_t, std::size_t) {});
  backend.prepared = static_cast<Pretended&>(*loaded.backend).prepared;
  return counts;
}

}  // namespace

TEST_CASE("a suite stands for all combinations of what it lists", "[unit]") {
  const Suite suite = suite_of(
      R"({"cases": [{"op": "gemm", "dtype": ["bf16", "fp8"], "shape": {"m": [1, 2], "n k": [[3, 4], [5, 6]]}}]})");
  REQUIRE(suite.cases.size() == 8);
  CHECK(suite.cases[1].shape == std::map<std::string, double>{{"m", 1}, {"n", 5}, {"k", 6}});
  CHECK(error_of([] {
          suite_of(R"({"cases": [{"op": "gemm", "shape": {"n k": [[3]]}}]})");
        }).find("one for each name") != std::string::npos);
  for (const char* name : {"quick", "full"}) CHECK(find_suite(name, "host").fresh.size() > 50);
}

TEST_CASE("measuring goes on where it was killed, and a kernel that fails its check has no time", "[unit]") {
  const Scratch scratch;
  Pretended backend;
  const Suite suite = suite_of(R"({
    "effort": {"warm_up": "1 us", "least": "1 us", "most": "1 ms", "samples": 1, "hot": true},
    "cases": [
    {"op": "gemm", "library": "all", "dtype": "bf16", "shape": {"m": [1, 2], "n": 64, "k": 64}},
    {"op": "top_k", "dtype": "bf16", "shape": {"rows": 1}}]})");
  const Counts first = measured(backend, suite, scratch.path);
  CHECK(first.measured == 2);
  CHECK(first.failed == 2);
  CHECK(first.not_offered == 1);
  const std::string whole = read_file(scratch.path);
  // the last record torn in two: measured again, the same bytes
  std::filesystem::resize_file(scratch.path, whole.size() - 20);
  const Counts second = measured(backend, suite, scratch.path);
  CHECK(second.before == 3);
  CHECK(backend.prepared == 1);
  CHECK(read_file(scratch.path) == whole);
  CHECK(whole.find(R"("failed":"element 3 was not written")") != std::string::npos);
  CHECK(whole.find(R"("hot_seconds":{"median":0.001)") != std::string::npos);

  const std::vector<FamilyData> families = read_families(scratch.path);
  REQUIRE(families.size() == 2);
  REQUIRE(families[0].observations.measured.size() == 2);
  for (const double cold : families[0].observations.measured) CHECK_THAT(cold, Catch::WithinRel(2000, 1e-12));  // microseconds
  CHECK(families[1].skipped.at("failed: no time") == 2);
}

TEST_CASE("a suite that visits its cases three times takes the middle of three records", "[unit]") {
  const Scratch scratch;
  Pretended backend;
  const Suite suite = suite_of(R"({"effort": {"visits": 3, "warm_up": "1 us", "least": "1 us", "most": "1 ms", "samples": 1},
    "cases": [{"op": "gemm", "library": "all", "dtype": "bf16", "shape": {"m": [1, 2], "n": 64, "k": 64}}]})");
  const Counts first = measured(backend, suite, scratch.path);
  CHECK(first.measured == 6);
  CHECK(first.failed == 2);  // is not tried again
  const std::string whole = read_file(scratch.path);
  std::filesystem::resize_file(scratch.path, whole.size() - 20);
  CHECK(measured(backend, suite, scratch.path).before == 3);
  CHECK(backend.prepared == 1);
  CHECK(read_file(scratch.path) == whole);
  CHECK(read_families(scratch.path)[0].observations.measured.size() == 2);
}

TEST_CASE("a file of another machine is not gone on with", "[unit]") {
  const Scratch scratch;
  std::ofstream(scratch.path)
      << record_text({.op = "gemm", .device = "b200-sxm", .backend = "x", .dtype = "bf16", .seconds = {1, 1, 1, 1}})
      << "\n";
  CHECK(error_of([&] { RecordFile(scratch.path, {.device = "h200-sxm"}); }).find("b200-sxm") != std::string::npos);
}

TEST_CASE("what a routed exchange moves follows its loads", "[unit]") {
  Case exchange{"all_to_all",
                "threads",
                "moe",
                "int8",
                {{"ranks", 4}, {"tokens", 64}, {"experts", 16}, {"top_k", 2}, {"row_bytes", 10}, {"exponent", 0}},
                1};
  // 64 tokens x 2 copies x 10 bytes leave every rank, and as many arrive when the load is even
  CHECK(busiest_rank(exchanged_bytes(exchange)) == 1280);
  exchange.shape["exponent"] = 1.2;
  CHECK(busiest_rank(exchanged_bytes(exchange)) > 1280);
  CHECK(exchanged_bytes(exchange) == exchanged_bytes(exchange));
  exchange.kind = "";
  exchange.shape["bytes"] = 4000;
  CHECK(exchanged_bytes(exchange)[2][3] == 1000);
}
