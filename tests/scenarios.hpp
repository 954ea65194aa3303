// Scenarios for tests: a small one, varied field by field, and what came of it.
//
//   const Trial slow = small().with({"/hardware/device/hbm_bandwidth=1 TB/s"});   slow.seconds() > small().seconds()
#pragma once

#include <catch2/catch.hpp>
#include <initializer_list>
#include <memory>
#include <string>

#include "plan/evaluate.hpp"
#include "spec/json.hpp"

namespace moeline {

class Trial {
 public:
  explicit Trial(const char* text) : Trial(parse_json(text, "trial.json")) {}
  explicit Trial(Json json)
      : json_(std::move(json)),
        scenario_(std::make_shared<const Scenario>(read_scenario(json_, "trial.json"))),
        outcome_(evaluate(*scenario_, Calibration{})) {}

  Trial with(std::initializer_list<std::string> fields) const {
    Json json = json_;
    for (const std::string& field : fields) set_field(json, field, "trial.json");
    return Trial(std::move(json));
  }

  const Json& json() const { return json_; }
  const Scenario& scenario() const { return *scenario_; }
  const Outcome& outcome() const { return outcome_; }
  bool runs() const { return std::holds_alternative<Evaluation>(outcome_); }
  std::string why_not() const { return runs() ? "it runs" : std::get<Infeasible>(outcome_).reason; }
  const Infeasible& infeasible() const {
    REQUIRE_FALSE(runs());
    return std::get<Infeasible>(outcome_);
  }
  const Evaluation& evaluation() const {
    INFO(why_not());
    REQUIRE(runs());
    return std::get<Evaluation>(outcome_);
  }
  const TrainEvaluation& train() const { return std::get<TrainEvaluation>(evaluation().answer); }
  const ServeEvaluation& serve() const { return std::get<ServeEvaluation>(evaluation().answer); }
  const LayerEvaluation& layer() const { return std::get<LayerEvaluation>(evaluation().answer); }

  double seconds() const { return train().step.value.in(second); }
  // Sum over phases of the breakdown rows of that name.
  Seconds exposed(std::string_view name) const {
    Seconds sum;
    for (const BreakdownRow& row : train().breakdown.rows()) {
      if (row.name == name) sum += row.exposed;
    }
    return sum;
  }
  Bytes bytes(std::string_view name) const {
    Bytes sum;
    for (const BreakdownRow& row : train().breakdown.rows()) {
      if (row.name == name) sum += row.bytes;
    }
    return sum;
  }
  bool has(std::string_view name) const {
    for (const BreakdownRow& row : train().breakdown.rows()) {
      if (row.name == name) return true;
    }
    return false;
  }
  double bubble_share() const { return exposed("pipeline bubble") / train().step.value; }
  Bytes memory(std::string_view part) const { return train().memory.of(part); }

 private:
  Json json_;
  std::shared_ptr<const Scenario> scenario_;
  Outcome outcome_;
};

// Eight layers of Mixtral on two H100 nodes; every exchange is exposed, so that every input is seen.
inline Trial small() {
  return Trial(R"({"model": {"base": "mixtral-8x7b", "num_hidden_layers": 8}, "hardware": "h100-sxm", "devices": 16,
      "recipe": "bf16", "parallelism": {"tp": 1, "pp": 1, "ep": 8},
      "workload": {"kind": "train", "sequence": 4096, "global_batch": 64, "micro_batch": 1, "overlap": [],
                   "transport": "nccl"}})");
}

// Many small experts, on one rack of GB200.
inline Trial fine_grained() {
  return Trial(R"({"model": {"base": "qwen3-30b-a3b", "num_hidden_layers": 8}, "hardware": "gb200-nvl72", "devices": 64,
      "recipe": "bf16", "parallelism": {"tp": 1, "pp": 1, "ep": 64},
      "workload": {"kind": "train", "sequence": 4096, "global_batch": 256, "micro_batch": 1, "overlap": [],
                   "transport": "hybridep"}})");
}

// Llama 70B on four H100, 32 requests at a time.
inline Trial served() {
  return Trial(R"({"model": "llama-3.1-70b", "hardware": "h100-sxm", "parallelism": {"tp": 4}, "recipe": "fp8_tensor",
      "workload": {"kind": "serve", "input": 1024, "output": 1024, "concurrency": 32, "stack": "vllm"}})");
}

// Qwen3 30B, experts over four H100, ten requests a second.
inline Trial served_at_a_rate() {
  return Trial(R"({"model": "qwen3-30b-a3b", "hardware": "h100-sxm", "parallelism": {"tp": 4, "ep": 4}, "recipe": "bf16",
      "workload": {"kind": "serve", "input": 1024, "output": 512, "request_rate": 10, "stack": "sglang"}})");
}

}  // namespace moeline
