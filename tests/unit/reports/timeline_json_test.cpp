#include "reports/timeline_json.hpp"

#include <catch2/catch.hpp>

#include "scenarios.hpp"
#include "spec/json.hpp"

using namespace moeline;
using Catch::WithinAbs;
using Catch::WithinRel;

namespace {

StepTrace trace(const Trial& trial) { return std::get<StepTrace>(trace_of(trial.scenario(), Calibration{})); }

Trial pipelined(std::initializer_list<std::string> more) { return small().with({"/parallelism/pp=2", "/parallelism/ep=4"}).with(more); }

constexpr double kTick = 2e-9;  // times are whole nanoseconds

}  // namespace

TEST_CASE("a timeline holds every pass of every stage, in the step's own time", "[unit]") {
  const Trial trial = pipelined({});
  const StepTrace traced = trace(trial);
  const Json json = timeline_json(traced);
  CHECK_THAT(json["step_seconds"].get<double>(), WithinRel(trial.seconds(), 1e-8));
  REQUIRE(json["stages"].size() == 2);
  CHECK(json["spans"].size() == 1);
  double rest = 0, before = 0, end = 0;
  for (const Json& one : json["before"]) before += one[2].get<double>();
  for (const Json& one : json["after"]) rest += one[2].get<double>();
  for (const Json& stage : json["stages"]) {
    CHECK(stage["passes"].size() == static_cast<std::size_t>(2 * trial.train().micro_batches));  // forward and backward of each
    double last = before;
    for (const Json& pass : stage["passes"]) {
      CHECK(pass[3].get<double>() >= last - kTick);
      last = pass[4];
    }
    end = std::max(end, last);
  }
  CHECK_THAT(end + rest, WithinAbs(trial.seconds(), 10 * kTick));
}

TEST_CASE("a pass names the ops that fill it", "[unit]") {
  for (const char* schedule : {"1f1b", "zb_h1", "dualpipe"}) {
    INFO(schedule);
    const Json json = timeline_json(trace(pipelined({std::string("/parallelism/schedule=") + schedule})));
    for (const Json& stage : json["stages"]) {
      for (const Json& pass : stage["passes"]) {
        const Json& ops = json["ops"].at(pass[5].get<std::size_t>());
        CHECK(ops["kind"] == pass[0]);
        CHECK_THAT(ops["seconds"].get<double>(), WithinAbs(pass[4].get<double>() - pass[3].get<double>(), kTick));
        CHECK(ops["count"] == ops["ops"].size());
        for (const Json& op : ops["ops"]) {
          CHECK(op[3].get<double>() <= ops["seconds"].get<double>() + kTick);
          CHECK(json["names"].at(op[0].get<std::size_t>()).size() == 3);
        }
      }
    }
  }
}

TEST_CASE("of a step with thousands of micro-batches the beginning and the end are written", "[unit]") {
  const Trial trial = pipelined({"/workload/global_batch=32768"});  // eight replicas: 4,096 micro-batches each
  REQUIRE(trial.train().micro_batches == 4096);
  const Json json = timeline_json(trace(trial));
  CHECK(json["passes"] == 2 * 2 * 4096);
  REQUIRE(json["spans"].size() == 2);
  for (std::size_t stage = 0; stage < 2; ++stage) {
    const Json& passes = json["stages"][stage]["passes"];
    CHECK(passes.size() <= 32);  // twice eight for each of two stages
    CHECK(passes.size() >= 24);
    CHECK(passes.front()[1] == 0);
    CHECK(passes.back()[1] == 4095);
    for (const Json& pass : passes) {
      const bool first = pass[4].get<double>() <= json["spans"][0][1].get<double>() + kTick, last = pass[3].get<double>() >= json["spans"][1][0].get<double>() - kTick;
      CHECK(first != last);
    }
  }
  CHECK(json.dump().size() < 100'000);
}
