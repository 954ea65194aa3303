// Does serving follow bandwidth, concurrency, memory and the cut as it must?
#include <algorithm>
#include <catch2/catch.hpp>

#include "fit/calibration_file.hpp"
#include "plan/serving/steady.hpp"
#include "scenarios.hpp"
#include "spec/catalogue.hpp"

using namespace moeline;
using Catch::Contains;
using Catch::WithinRel;

namespace {

class Served {
 public:
  explicit Served(Json json) : json_(std::move(json)), scenario_(std::make_shared<const Scenario>(read_scenario(json_, "served.json"))) {
    std::string note;
    outcome_ = evaluate(*scenario_, calibration_named(scenario_->calibration, scenario_->cluster, note, true));
  }
  Served with(std::initializer_list<std::string> fields) const {
    Json json = json_;
    for (const std::string& field : fields) set_field(json, field, "served.json");
    return Served(std::move(json));
  }
  const ServeEvaluation& answer() const {
    INFO(why_not());
    REQUIRE(std::holds_alternative<Evaluation>(outcome_));
    return std::get<ServeEvaluation>(std::get<Evaluation>(outcome_).answer);
  }
  std::string why_not() const {
    const Infeasible* why = std::get_if<Infeasible>(&outcome_);
    return why != nullptr ? why->reason : "it runs";
  }
  bool warned(const std::string& code) const {
    const auto& warnings = std::get<Evaluation>(outcome_).warnings;
    return std::any_of(warnings.begin(), warnings.end(), [&](const Warning& w) { return w.code == code; });
  }
  double tpot() const { return answer().tpot.value.in(second); }
  double ttft() const { return answer().ttft.value.in(second); }

 private:
  Json json_;
  std::shared_ptr<const Scenario> scenario_;
  Outcome outcome_;
};

Served served(const char* text) { return Served(parse_json(text, "served.json")); }

Served deepseek() {
  return served(R"({"model": "deepseek-v3", "hardware": "h200-sxm", "parallelism": {"tp": 8},
      "workload": {"kind": "serve", "input": 1024, "output": 1024, "concurrency": 64, "stack": "sglang"}})");
}
Served llama() {
  return served(R"({"model": "llama-3.1-70b", "hardware": "h100-sxm", "parallelism": {"tp": 4}, "recipe": "fp8_tensor",
      "workload": {"kind": "serve", "input": 1024, "output": 1024, "concurrency": 32, "stack": "vllm"}})");
}

}  // namespace

TEST_CASE("faster memory, links and tensor cores never serve slower", "[property]") {
  for (const Served& base : {deepseek(), llama()}) {
    for (const auto& [field, other] : {std::pair{"/hardware/device/hbm_bandwidth=6 TB/s", "/description=faster"},
                                       std::pair{"/hardware/fabric/0/bandwidth=900 GB/s", "/description=faster"},
                                       std::pair{"/hardware/device/dense_peak/fp8=3500 TFLOP/s", "/hardware/device/sparse_peak/fp8=7000 TFLOP/s"}}) {
      INFO(field);
      const Served better = base.with({field, other});
      CHECK(better.tpot() <= base.tpot() * (1 + 1e-9));
      CHECK(better.ttft() <= base.ttft() * 1.02);  // the loop is played request by request
    }
  }
}

TEST_CASE("more users slow each token and raise the throughput", "[property]") {
  for (const Served& base : {deepseek(), llama()}) {
    double tpot = 0, rate = 0;
    for (const char* users : {"1", "4", "16", "64", "128"}) {
      const Served s = base.with({std::string("/workload/concurrency=") + users});
      INFO(users);
      CHECK(s.tpot() >= tpot);
      CHECK(s.answer().tokens_per_second >= rate);
      tpot = s.tpot();
      rate = s.answer().tokens_per_second;
    }
  }
}

TEST_CASE("longer prompts take longer to answer, longer answers are slower a token", "[property]") {
  const Served base = llama();
  CHECK(base.with({"/workload/input=4096"}).ttft() > base.ttft());
  CHECK(base.with({"/workload/input=4096"}).tpot() > base.tpot());
  CHECK(base.with({"/workload/prefix_hit_rate=0.75"}).ttft() < base.ttft());
}

TEST_CASE("memory caps how many run at once", "[property]") {
  const Served base = llama().with({"/workload/concurrency=4096"});
  const Served small = base.with({"/hardware/device/hbm_capacity=40 GB"});
  CHECK(small.answer().max_concurrency < base.answer().max_concurrency);
  CHECK(small.answer().decoding <= 1.5 * small.answer().max_concurrency);
  CHECK(small.ttft() > base.ttft());  // the rest waits
  CHECK(small.warned("waiting_for_memory"));
  CHECK_FALSE(llama().warned("waiting_for_memory"));
  CHECK(small.answer().memory.total() <= small.answer().memory_available * 1.5);
  CHECK_THAT(llama().with({"/hardware/device/hbm_capacity=16 GB"}).why_not(), Contains("do not fit"));
}

TEST_CASE("a cache in fewer bits holds more requests", "[property]") {
  const Served bf16 = llama().with({"/workload/kv_cache=bf16"}), fp8 = llama().with({"/workload/kv_cache=fp8"});
  CHECK_THAT(fp8.answer().max_concurrency / bf16.answer().max_concurrency, WithinRel(2.0, 0.02));
}

TEST_CASE("one device talks to nobody", "[property]") {
  const Served one = served(R"({"model": "llama-3.1-8b", "hardware": "h100-sxm", "parallelism": {"tp": 1},
      "workload": {"kind": "serve", "concurrency": 8}})");
  for (const BreakdownRow& row : one.answer().breakdown.rows()) CHECK(row.lane == Lane::compute);
}

TEST_CASE("what each phase's rows add up to is its time", "[property]") {
  for (const Served& base : {deepseek(), llama()}) {
    Seconds decode, prefill;
    for (const BreakdownRow& row : base.answer().breakdown.rows()) (row.phase == "decode" ? decode : prefill) += row.exposed;
    CHECK_THAT(decode.in(second), WithinRel(base.tpot(), 1e-9));
    CHECK_THAT(prefill.in(second), WithinRel(base.ttft(), 1e-9));
  }
}

TEST_CASE("replicas share the requests and change nothing else", "[property]") {
  const Served one = llama(), two = llama().with({"/devices=8", "/workload/concurrency=64"});
  CHECK_THAT(two.tpot(), WithinRel(one.tpot(), 1e-9));
  CHECK_THAT(two.answer().tokens_per_second, WithinRel(2 * one.answer().tokens_per_second, 1e-9));
}

TEST_CASE("an open loop below saturation is the closed one with as many in flight, and above it is no answer", "[property]") {
  const Served closed = llama();
  const double rate = closed.answer().requests_per_second;
  const Served open = served(R"({"model": "llama-3.1-70b", "hardware": "h100-sxm", "parallelism": {"tp": 4}, "recipe": "fp8_tensor",
      "workload": {"kind": "serve", "input": 1024, "output": 1024, "request_rate": 1, "stack": "vllm"}})");
  CHECK_THAT(open.with({"/workload/request_rate=" + std::to_string(rate)}).tpot(), WithinRel(closed.tpot(), 0.05));
  CHECK_THAT(open.with({"/workload/request_rate=1000"}).why_not(), Contains("saturate"));
}

TEST_CASE("decode workers apart from prompts give tokens without their delay", "[property]") {
  const Served together = llama();
  const Served apart = together.with({"/workload/mode=disaggregated", "/workload/prefill={\"workers\": 1}", "/workload/decode={\"workers\": 1}", "/description=faster"});
  CHECK(apart.tpot() < together.tpot());
  CHECK(apart.answer().transfer > Seconds{});
  const Served near = apart.with({"/hardware/fabric/1/bandwidth=5000 GB/s"});
  CHECK(near.answer().transfer < apart.answer().transfer);
  CHECK(near.ttft() < apart.ttft());
}

TEST_CASE("closed forms agree with the loop played event by event", "[property]") {
  const Json json = parse_json(R"({"model": "llama-3.1-70b", "hardware": "h100-sxm", "parallelism": {"tp": 4}, "recipe": "fp8_tensor",
      "workload": {"kind": "serve", "stack": "vllm"}})", "served.json");
  const Scenario s = read_scenario(json, "served.json");
  std::string note;
  const Calibration calibration = calibration_named("auto", s.cluster, note, true);
  const ServeWorkload& w = std::get<ServeWorkload>(s.workload);
  const ServingSteps steps(s, w.decode.layout, calibration, stack_conduct(w));
  for (const double users : {2.0, 16.0, 64.0}) {
    const RequestShape shape{.input = 1000, .output = 500};
    const SteadyState state = closed_loop(steps, shape, users, 1e6);
    // Lengths from 0.8 to 1 of the longest: of one length all would keep in step.
    Loop loop{.users = users, .input = 1000 / 0.9, .output = 500 / 0.9, .ratio = 0.8, .requests = 10 * users};
    loop.left_out = users;
    loop.most = 1e6;
    loop.away = steps.conduct().request;
    const LoopTimes played = run_loop(loop, loop_prices(steps, shape, state));
    INFO(users << " users: " << state.tpot.in(millisecond) << " against " << played.tpot_mean.in(millisecond) << " ms");
    CHECK_THAT(state.tpot.in(second), WithinRel(played.tpot_mean.in(second), 0.06));
  }
}

TEST_CASE("every model is served on every GPU, or says why not", "[property]") {
  for (const CatalogueEntry& machine : hardware_catalogue()) {
    if (machine.name.starts_with("cs-")) continue;
    for (const CatalogueEntry& model : model_catalogue()) {
      INFO(machine.name << ", " << model.name);
      const Json json{{"model", std::string(model.name)}, {"hardware", std::string(machine.name)}, {"calibration", "none"},
                      {"workload", Json{{"kind", "serve"}, {"concurrency", 16}, {"input", 512}, {"output", 128}}}};
      const Served s(json);
      if (s.why_not() != "it runs") {
        CHECK_THAT(s.why_not(), Contains("fit"));  // a terabyte on eight A100
      } else {
        CHECK(s.tpot() > 0);
        CHECK(s.ttft() > 0);
      }
    }
  }
}
