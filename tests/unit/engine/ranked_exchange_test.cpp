#include "engine/ranked_exchange.hpp"

#include <catch2/catch.hpp>
#include <cstdio>
#include <filesystem>
#include <future>

#include "spec/reader.hpp"
#include "thread_ranks.hpp"

namespace moeline {

using Catch::Matchers::WithinRel;

namespace {

// Every rank sends its number to all; rank r takes r + 1 ms. What goes wrong is written in the case: on rank 1 in its
// check, or before its part is made.
class Numbers : public Part {
 public:
  Numbers(const Case& wanted, int rank) : wanted_(wanted), rank_(rank) {
    const auto ranks = static_cast<int>(wanted.shape.at("ranks"));
    sent_.assign(static_cast<std::size_t>(ranks), static_cast<std::uint8_t>(rank));
    received_.assign(static_cast<std::size_t>(ranks), 99);
    for (int other = 0; other < ranks; ++other) places_.push_back(other);
  }
  Check check(Peers& peers) override {
    const std::vector<int> ones(places_.size(), 1);
    peers.all_to_all({sent_.data(), ones, places_}, {received_.data(), ones, places_});
    for (const int other : places_) {
      if (received_[static_cast<std::size_t>(other)] != other) return {.problem = "a number did not arrive"};
    }
    if (wanted_.shape.contains("wrong") && rank_ == 1) return {.problem = "byte 3 of rank 1 is wrong"};
    return {.passed = true};
  }
  Sample sample(Peers& peers, Caches caches) override {
    peers.meet();
    return {.seconds = (caches == Caches::cold ? 1e-3 : 1e-4) * (rank_ + 1), .disturbed = rank_ == 2};
  }

 private:
  Case wanted_;
  int rank_;
  std::vector<std::uint8_t> sent_, received_;
  std::vector<int> places_;
};

class Pretended : public Backend {
 public:
  Machine machine() override { return {.device = "h200-sxm", .title = "pretended", .versions = {}, .profile = ""}; }
  std::vector<std::string> libraries(const Case&) const override { return {"threads"}; }
  std::unique_ptr<Run> prepare(const Case&) override { throw HardwareError("not asked for here"); }
  std::unique_ptr<Part> part(const Case& wanted, int rank) override {
    if (wanted.shape.contains("large") && rank == 1) throw HardwareError("rank 1 is out of memory");
    return std::make_unique<Numbers>(wanted, rank);
  }
};

// What rank 0 of `size` writes of the cases, on ranks that are threads.
std::vector<Record> measured_among(int size, const std::string& cases, std::vector<int>* codes = nullptr) {
  Boxes boxes;
  boxes.of_rank.resize(static_cast<std::size_t>(size));
  std::vector<std::future<int>> others;
  for (int rank = 1; rank < size; ++rank) {
    others.push_back(std::async(std::launch::async, [&boxes, rank] {
      ThreadRanks ranks(boxes, rank);
      return take_part(ranks, [] { return std::make_unique<Pretended>(); });
    }));
  }
  const std::string path = (std::filesystem::temp_directory_path() / "moeline_ranked_exchange_test.jsonl").string();
  std::remove(path.c_str());
  ThreadRanks ranks(boxes, 0);
  LoadedBackend loaded{std::make_unique<Pretended>(), "host", Pretended().machine()};
  exchange_among(ranks, loaded);
  const Suite suite = read_suite(
      parse_json(
          R"({"effort": {"warm_up": "1 us", "least": "1 us", "most": "1 ms", "samples": 1, "hot": true}, "cases": )" +
              cases + "}",
          "suite"),
      "suite");
  std::vector<Record> records;
  {
    RecordFile file(path, loaded.machine);
    measure_cases(loaded, suite, tasks_of(suite.cases, file), "now", [](std::size_t, std::size_t) {});
    records = file.records();
  }
  std::remove(path.c_str());
  dismiss(ranks, 3, {});
  for (std::future<int>& other : others) {
    const int code = other.get();
    if (codes != nullptr) codes->push_back(code);
  }
  return records;
}

}  // namespace

TEST_CASE("ranks exchange together, the time of the one that kept others waiting counts, and all end with one code",
          "[unit]") {
  std::vector<int> codes;
  const std::vector<Record> records = measured_among(
      4, R"([{"op": "all_to_all", "dtype": "int8", "shape": {"ranks": [2, 3, 4, 8], "bytes": 64}}])", &codes);
  REQUIRE(records.size() == 4);
  for (std::size_t i = 0; i < 3; ++i) {
    CHECK(records[i].backend == "mpi");
    CHECK(records[i].failed.empty());
    const double slowest = i == 0 ? 2 : 3;  // rank r takes r + 1 ms: the last of two, else rank 2, which lost its core
    // Times that the test pretends: rounding alone.
    CHECK_THAT(records[i].seconds.median, WithinRel(1e-3 * slowest, 1e-9));
    CHECK_THAT(records[i].hot_seconds->median, WithinRel(1e-4 * slowest, 1e-9));
    CHECK((records[i].disturbed > 0) == (i > 0));  // that of rank 2
    CHECK(records[i].versions.at("mpi") == "threads");
  }
  CHECK(records[3].backend == "threads");  // of 8 ranks that 4 cannot stand for
  CHECK(codes == std::vector{3, 3, 3});
}

TEST_CASE("what goes wrong on one rank is what the record says, and the next case is measured", "[unit]") {
  const std::vector<Record> records =
      measured_among(3, R"([{"op": "all_to_all", "dtype": "int8", "shape": {"ranks": 3, "bytes": 64, "wrong": 1}},
             {"op": "all_to_all", "dtype": "int8", "shape": {"ranks": 3, "bytes": 64, "large": 1}},
             {"op": "all_to_all", "dtype": "int8", "shape": {"ranks": 3, "bytes": 128}}])");
  REQUIRE(records.size() == 3);
  CHECK(records[0].failed == "byte 3 of rank 1 is wrong");
  CHECK(records[1].failed == "rank 1 is out of memory");
  CHECK(records[2].failed.empty());
}

}  // namespace moeline
