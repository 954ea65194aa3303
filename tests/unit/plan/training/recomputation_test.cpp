#include "plan/training/recomputation.hpp"

#include <algorithm>
#include <catch2/catch.hpp>

#include "scenarios.hpp"

using namespace moeline;
using Catch::WithinRel;

namespace {

// Layers of 9 GB a micro-batch in flight: eight of them are too many for the device below.
Trial tight(const std::string& recompute = "") {
  const Trial trial(R"({"model": "qwen3-30b-a3b", "hardware": "h100-sxm", "devices": 16, "recipe": "bf16",
      "parallelism": {"pp": 2, "ep": 8}, "workload": {"kind": "train", "global_batch": 256, "micro_batch": 4}})");
  return recompute.empty() ? trial : trial.with({"/workload/recompute=" + recompute});
}

}  // namespace

TEST_CASE("a step that leaves recomputation open recomputes the first that fits, and says which", "[unit]") {
  CHECK_FALSE(tight("none").runs());
  const Evaluation evaluation = tight().evaluation();
  REQUIRE(std::get<TrainEvaluation>(evaluation.answer).recomputation.has_value());
  CHECK(std::any_of(evaluation.warnings.begin(), evaluation.warnings.end(), [](const Warning& w) { return w.code == "recompute_chosen"; }));
}

TEST_CASE("what was chosen costs what it costs when it is named", "[unit]") {
  const TrainEvaluation open = tight().train();
  REQUIRE(open.recomputation.has_value());
  const std::vector<Recomputation> tried = recomputations_to_fit(TrainWorkload{});
  const bool cheap = open.recomputation->name == tried[0].name;
  const TrainEvaluation named = tight(cheap ? "[\"layernorm\",\"moe_act\",\"mla_up_proj\"]"
                                            : open.recomputation->full ? "full" : "[\"layernorm\",\"moe_act\",\"mla_up_proj\",\"moe\",\"mlp\"]").train();
  CHECK_THAT(open.step.value.in(second), WithinRel(named.step.value.in(second), 1e-12));
  CHECK_THAT(open.memory.total().in(byte), WithinRel(named.memory.total().in(byte), 1e-12));
}

TEST_CASE("attention scores that go through memory are the first to be made again", "[unit]") {
  TrainWorkload workload;
  CHECK_FALSE(recomputations_to_fit(workload)[0].parts.contains(Recompute::core_attn));
  workload.attention = AttentionKernel::unfused;
  for (const Recomputation& tried : recomputations_to_fit(workload)) CHECK((tried.full || tried.parts.contains(Recompute::core_attn)));
}

TEST_CASE("a step that fits as it is recomputes nothing", "[unit]") {
  const Trial trial = small();
  REQUIRE(trial.runs());
  CHECK_FALSE(trial.train().recomputation.has_value());
}
