#include "plan/training/trace.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <map>

#include "reports/trace_json.hpp"
#include "scenarios.hpp"
#include "spec/json.hpp"

using namespace moeline;
using Catch::WithinRel;

namespace {

Trial pipelined(const std::string& schedule) {
  const Trial trial = small().with({"/parallelism/pp=2", "/parallelism/ep=4"});
  if (schedule == "interleaved_1f1b") return trial.with({"/parallelism/vpp=2"});
  return trial.with({"/parallelism/schedule=" + schedule});
}

StepTrace trace(const Scenario& scenario) { return std::get<StepTrace>(trace_of(scenario, Calibration{})); }

// Slices of one thread, as a viewer sees them.
struct Slice {
  std::string name, category;
  double start, finish;
};
using Threads = std::map<std::pair<int, int>, std::vector<Slice>>;

Threads threads(const Json& json) {
  Threads list;
  for (const Json& event : json["traceEvents"]) {
    if (event["ph"] != "X") continue;
    const double start = event["ts"], length = event["dur"];
    list[{event["pid"], event["tid"]}].push_back({event["name"], event["cat"], start, start + length});
  }
  // A slice before those inside it.
  for (auto& [where, slices] : list) {
    std::stable_sort(slices.begin(), slices.end(), [](const Slice& a, const Slice& b) {
      return a.start != b.start ? a.start < b.start : a.finish > b.finish;
    });
  }
  return list;
}

const std::vector<std::string> kNames{"gpipe", "1f1b", "interleaved_1f1b", "zb_h1", "zb_h2", "zb_v", "dualpipe", "dualpipe_v"};

}  // namespace

TEST_CASE("a trace ends where the step ends", "[unit]") {
  for (const std::string& schedule : kNames) {
    const Trial trial = pipelined(schedule);
    const Json json = parse_json(trace_json(trace(trial.scenario())), "trace");
    double latest = 0, longest = 0;
    std::map<int, std::pair<double, double>> stages;
    for (const auto& [where, slices] : threads(json)) {
      auto& [first, last] = stages.emplace(where.first, std::pair{1e300, 0.0}).first->second;
      for (const Slice& slice : slices) {
        first = std::min(first, slice.start);
        last = std::max(last, slice.finish);
      }
    }
    for (const auto& [stage, span] : stages) {
      latest = std::max(latest, span.second);
      longest = std::max(longest, span.second - span.first);
    }
    INFO(schedule);
    // Stages of these begin their next step when they are done with this one.
    const bool apart = schedule == "zb_h2" || schedule == "zb_v";
    CHECK_THAT(1e-6 * (apart ? longest : latest), WithinRel(trial.seconds(), 1e-6));
  }
}

TEST_CASE("passes of the trace take what the breakdown says the busiest stage works", "[unit]") {
  const Trial trial = pipelined("1f1b");
  const StepTrace traced = trace(trial.scenario());
  Seconds work;
  for (const TimedPass& pass : traced.stages[static_cast<std::size_t>(trial.train().busiest_stage)]) work += pass.finish - pass.start;
  Seconds rows;
  for (const BreakdownRow& row : trial.train().breakdown.rows()) {
    const bool rest = row.phase == "optimizer" || row.name == "gradient reduction" || row.name == "parameter gather";
    if (!rest && row.name != "pipeline bubble") rows += row.exposed;
  }
  CHECK_THAT(work.in(second), WithinRel(rows.in(second), 1e-9));
}

TEST_CASE("ops of a pass fill it on one lane or the other", "[unit]") {
  for (const char* schedule : {"1f1b", "zb_h1"}) {
    const StepTrace traced = trace(pipelined(schedule).scenario());
    for (std::size_t c = 0; c < traced.chunks.size(); ++c) {
      const ChunkTimes& times = traced.pipeline.chunks[c];
      const std::pair<PassKind, Seconds> kinds[]{{PassKind::forward, times.forward}, {PassKind::backward, times.backward},
                                                 {PassKind::input_gradient, times.backward - times.weight},
                                                 {PassKind::weight_gradient, times.weight}};
      for (const auto& [kind, length] : kinds) {
        Seconds end;
        for (const TracedOp& op : traced.chunks[c].of(kind)) end = max(end, op.finish);
        CHECK_THAT(end.in(second), WithinRel(length.in(second), 1e-9));
      }
    }
  }
}

TEST_CASE("arrows join every send to its receipt, and leave before they arrive", "[unit]") {
  const Trial trial = pipelined("1f1b");
  const Json json = parse_json(trace_json(trace(trial.scenario())), "trace");
  std::map<int, double> sent;
  int received = 0;
  for (const Json& event : json["traceEvents"]) {
    if (event["ph"] == "s") sent[event["id"]] = event["ts"];
    if (event["ph"] != "f") continue;
    ++received;
    CHECK(sent.count(event["id"]) == 1);
    CHECK(sent[event["id"]] <= event["ts"].get<double>());
  }
  // Two stages: every micro-batch goes up once and its gradient comes down once.
  CHECK(received == 2 * trial.train().micro_batches);
  CHECK(sent.size() == static_cast<std::size_t>(received));
}

// Perfetto reads whole nanoseconds, drops a slice that outlasts the one it lies in, and ties an arrow to the slice that holds its end.
TEST_CASE("a trace keeps the rules of the viewers that open it", "[unit]") {
  const auto tick = [](const Json& microseconds) { return std::llround(1e3 * microseconds.get<double>()); };
  for (const std::string& schedule : kNames) {
    INFO(schedule);
    const Json json = parse_json(trace_json(trace(pipelined(schedule).scenario())), "trace");
    using Thread = std::pair<int, int>;
    std::map<Thread, std::vector<std::pair<long long, long long>>> slices;  // begin, minus end: an outer one sorts before its inner ones
    std::map<Thread, std::string> named;
    std::map<int, std::vector<Json>> arrows;
    for (const Json& event : json["traceEvents"]) {
      REQUIRE((event.contains("ph") && event.contains("pid") && event.contains("tid") && event["name"].is_string()));
      const Thread thread{event["pid"], event["tid"]};
      if (event["ph"] == "M") {
        if (event["name"] == "process_name" || event["name"] == "thread_name") named[thread] = event["args"]["name"];
      } else if (event["ph"] == "X") {
        slices[thread].push_back({tick(event["ts"]), -tick(event["ts"]) - tick(event["dur"])});
        REQUIRE(event["dur"] >= 0);
      } else {
        arrows[event["id"]].push_back(event);
      }
    }
    std::size_t crossed = 0, loose = 0;
    for (auto& [thread, list] : slices) {
      CHECK((named.count(thread) == 1 && named.count({thread.first, 0}) == 1));
      std::stable_sort(list.begin(), list.end());
      std::vector<long long> ends;
      for (const auto& [begin, minus_end] : list) {
        while (!ends.empty() && ends.back() <= begin) ends.pop_back();
        crossed += !ends.empty() && -minus_end > ends.back();
        ends.push_back(-minus_end);
      }
    }
    for (const auto& [id, ends] : arrows) {
      REQUIRE((ends.size() == 2 && ends[0]["ph"] == "s" && ends[1]["ph"] == "f" && ends[1]["bp"] == "e"));
      for (const Json& end : ends) {
        const auto& list = slices[{end["pid"], end["tid"]}];
        loose += std::none_of(list.begin(), list.end(), [at = tick(end["ts"])](const auto& s) { return s.first <= at && at < -s.second; });
      }
    }
    CHECK(crossed == 0);
    CHECK(loose == 0);
    CHECK(!arrows.empty());
  }
}

TEST_CASE("a trace that would grow too large keeps its passes and drops ops", "[unit]") {
  const Trial trial = pipelined("1f1b");
  const StepTrace traced = trace(trial.scenario());
  const Json few = parse_json(trace_json(traced, 1), "trace");
  std::size_t passes = 0, ops = 0;
  for (const Json& event : few["traceEvents"]) {
    if (event["ph"] == "X") ++(event["cat"] == "op" ? ops : passes);
  }
  CHECK(ops == 0);
  CHECK(passes >= static_cast<std::size_t>(4 * trial.train().micro_batches));  // forward and backward on two stages
  CHECK(few["otherData"]["ops"] == "of the earliest passes alone");
}

TEST_CASE("a layer is traced as one forward and one backward", "[unit]") {
  const Trial trial(R"({"model": "qwen3-30b-a3b", "hardware": "h100-sxm", "devices": 8, "parallelism": {"ep": 8},
                        "workload": {"kind": "layer", "tokens": 8192}})");
  const StepTrace traced = trace(trial.scenario());
  REQUIRE(traced.stages.size() == 1);
  CHECK(traced.stages[0].size() == 2);
  CHECK_THAT(traced.step.in(second), WithinRel((trial.layer().forward + trial.layer().backward).in(second), 1e-9));
  const Json json = parse_json(trace_json(traced), "trace");
  CHECK(threads(json).size() == 2);  // compute and network
}
