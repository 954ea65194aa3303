#include "plan/serving/speculative_rounds.hpp"

#include <algorithm>

#include "error_of.hpp"
#include "scenarios.hpp"

using namespace moeline;
using Catch::Matchers::Contains;
using Catch::Matchers::WithinRel;

namespace {

Json served(const std::string& model, std::int64_t devices, const char* speculation) {
  Json json{{"model", model},
            {"hardware", "h100-sxm"},
            {"devices", devices},
            {"parallelism", {{"tp", devices}}},
            {"routing", {{"popularity", "uniform"}}},  // as the closed forms of experts touched have it
            {"workload", {{"kind", "serve"}, {"input", 512}, {"output", 512}, {"concurrency", 1}}}};
  if (*speculation != 0) json["speculation"] = parse_json(speculation, "speculation");
  return json;
}

// Rounds of one worker at a batch of one's choice.
class Worker {
 public:
  Worker(const std::string& model, std::int64_t devices, const char* speculation)
      : scenario_(read_scenario(served(model, devices, speculation), "trial.json")),
        steps_(scenario_, std::get<ServeWorkload>(scenario_.workload).decode.layout, calibration_,
               stack_conduct(std::get<ServeWorkload>(scenario_.workload))) {}
  DecodeRound at(double sequences) const { return steps_.rounds()->at(sequences, 1024); }

 private:
  Scenario scenario_;
  Calibration calibration_;
  ServingSteps steps_;
};

}  // namespace

TEST_CASE("a round in turn is K draft steps and one verification") {
  const Worker worker("qwen3-32b", 4, R"({"kind": "sd", "draft": "qwen3-0.6b", "draft_tokens": 4, "acceptance": 0.8})");
  const DecodeRound round = worker.at(1);
  CHECK(round.drafted == 4);
  CHECK_THAT(round.tokens, WithinRel(3.3616, 1e-9));
  CHECK_THAT(round.time.in(second), WithinRel((round.draft + round.verify).in(second), 1e-12));
  CHECK(round.verify >= round.plain);
  CHECK(round.verify < 1.2 * round.plain);  // five tokens read the weights that one does
}

TEST_CASE("drafting beside verification is faster than the same draft in turn, by at most its drafting") {
  const char* in_turn = R"({"kind": "sd", "draft": "qwen3-0.6b", "draft_tokens": 5, "acceptance": 0.8})";
  const char* beside = R"({"kind": "ssd", "draft": "qwen3-0.6b", "draft_tokens": 5, "acceptance": 0.8, "hit_rate": 0.9, "backup": "draft"})";
  const DecodeRound one = Worker("qwen3-32b", 4, in_turn).at(1), other = Worker("qwen3-32b", 4, beside).at(1);
  REQUIRE(other.tree < other.verify);
  CHECK(other.speedup() > one.speedup());
  CHECK(other.speedup() / one.speedup() < one.time / one.verify);
  CHECK(other.messages > Seconds{});
}

TEST_CASE("what is left open is chosen by speed, no drafting included") {
  const Worker good("qwen3-32b", 4, R"({"kind": "sd", "draft": "qwen3-0.6b", "acceptance": 0.9})");
  const Worker bad("qwen3-32b", 4, R"({"kind": "sd", "draft": "qwen3-0.6b", "acceptance": 0.02})");
  CHECK(good.at(1).drafted > 3);
  CHECK(bad.at(1).drafted == 0);
  CHECK(bad.at(1).speedup() == 1);
  const Worker fixed("qwen3-32b", 4, R"({"kind": "sd", "draft": "qwen3-0.6b", "draft_tokens": 5, "acceptance": 0.9})");
  CHECK(good.at(1).speedup() >= fixed.at(1).speedup());
}

TEST_CASE("slots of the cache fit one verification and large batches fall back to random tokens") {
  const Worker worker("qwen3-32b", 4, R"({"kind": "ssd", "draft": "qwen3-0.6b", "draft_tokens": 5, "acceptance": 0.8})");
  const DecodeRound alone = worker.at(1), many = worker.at(64);
  CHECK(alone.fan_out.total() >= 6);
  CHECK(alone.hit > 0.3);
  CHECK(alone.backup == Backup::draft);
  CHECK(many.backup == Backup::random);
  CHECK(many.speedup() < alone.speedup());
}

TEST_CASE("speculation on a mixture of experts gains little, then much, then little as the batch grows") {
  const Worker worker("qwen2-57b-a14b", 4, R"({"kind": "sd", "draft": "ngram", "draft_tokens": 4, "acceptance": 0.8})");
  std::vector<double> gain;
  for (double batch = 1; batch <= 4096; batch *= 2) gain.push_back(worker.at(batch).speedup());
  const auto best = std::max_element(gain.begin(), gain.end());
  INFO("at one " << gain.front() << ", best " << *best << ", at 4096 " << gain.back());
  CHECK(*best > 1.15 * gain.front());
  CHECK(*best > 1.15 * gain.back());
}

TEST_CASE("tokens that share experts make verification cheaper") {
  const Worker alike("qwen3-30b-a3b", 1, R"({"kind": "sd", "draft": "ngram", "draft_tokens": 3, "acceptance": 0.5, "expert_correlation": 0.5})");
  const Worker apart("qwen3-30b-a3b", 1, R"({"kind": "sd", "draft": "ngram", "draft_tokens": 3, "acceptance": 0.5, "expert_correlation": 1})");
  CHECK(alike.at(1).verify < apart.at(1).verify);
  CHECK(alike.at(1).plain == apart.at(1).plain);
}

TEST_CASE("an answer with speculation counts kept tokens, and the draft's devices") {
  const Trial plain(served("qwen3-32b", 4, "")), none(served("qwen3-32b", 4, R"({"kind": "none"})"));
  const Trial beside(served("qwen3-32b", 4, R"({"kind": "ssd", "draft": "qwen3-0.6b", "draft_tokens": 5, "acceptance": 0.8})"));
  const auto answer = [](const Trial& trial) -> const ServeEvaluation& { return std::get<ServeEvaluation>(trial.evaluation().answer); };
  CHECK(answer(none).tpot.value == answer(plain).tpot.value);
  CHECK(answer(beside).tpot.value < answer(plain).tpot.value);
  CHECK_THAT(answer(beside).tokens_per_second_per_device, WithinRel(answer(beside).tokens_per_second / 5, 1e-12));
  Seconds decode;
  for (const BreakdownRow& row : answer(beside).breakdown.rows()) {
    if (row.phase == "decode") decode += row.exposed;
  }
  CHECK_THAT(decode.in(second), WithinRel(answer(beside).tpot.value.in(second), 1e-9));
}

TEST_CASE("speculation is read strictly and belongs to serving") {
  const auto refused = [](const char* speculation) {
    return error_of([&] { read_scenario(served("qwen3-32b", 4, speculation), "trial.json"); });
  };
  CHECK_THAT(refused(R"({"kind": "sdd"})"), Contains("did you mean \"sd\""));
  CHECK_THAT(refused(R"({"kind": "sd"})"), Contains("speculation/draft"));
  CHECK_THAT(refused(R"({"kind": "sd", "draft": "qwen3-06b"})"), Contains("did you mean \"qwen3-0.6b\""));
  CHECK_THAT(refused(R"({"kind": "sd", "draft": "mtp"})"), Contains("qwen3-32b has no multi-token-prediction module"));
  CHECK_THAT(refused(R"({"kind": "sd", "draft": "ngram", "acceptance": 1.5})"), Contains("expected a probability"));
  CHECK_THAT(refused(R"({"kind": "sd", "draft": "ngram", "cache_slots": 3})"), Contains("unknown key"));
  CHECK_THAT(refused(R"({"kind": "ssd", "draft": "ngram"})"), Contains("a model of its own"));
  CHECK_THAT(error_of([] {
    read_scenario(Json{{"model", "qwen3-32b"}, {"hardware", "h100-sxm"}, {"workload", {{"kind", "layer"}}},
                       {"speculation", {{"kind", "sd"}, {"draft", "ngram"}}}}, "trial.json");
  }), Contains("speculation applies to serving"));
}
