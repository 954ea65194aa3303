#include "wafer/tiling.hpp"

#include <catch2/catch.hpp>

#include "error_of.hpp"
#include "scenarios.hpp"
#include "spec/catalogue.hpp"

using namespace moeline;
using Catch::Contains;
using Catch::WithinRel;

namespace {

struct Qwen {
  Document document = find_model("qwen3-30b-a3b", "test");
  ModelSpec model = read_model(document.json, document.origin, document.name);
  SramContext context{.model = model, .sequence = 8192};
};

Trial on_cs2(const char* changes = "{}") {
  Json json = parse_json(R"({"model": "qwen3-30b-a3b", "hardware": "cs-2", "devices": 1,
      "workload": {"kind": "train", "sequence": 8192, "global_batch": 1024}})",
                         "trial.json");
  json["workload"]["wafer"] = parse_json(changes, "trial.json");
  return Trial(json);
}

}  // namespace

TEST_CASE("the memory list of 64 tiles adds up by hand", "[unit]") {
  const Qwen qwen;
  const TilePlan plan{.tile = 1, .sequences = 64, .keep = KeepInputs::offload, .scores = Scores::materialised};
  const Footprint f = sram(qwen.context, plan);
  const double tokens = 64 * 8192, hidden = 2048;
  // norms 2 h, q/k norms 2 x 128, attention 18,874,368, router 128 h, experts 128 x 3 x 2048 x 768
  CHECK_THAT(f.of("layer_weights").in(byte),
             WithinRel(2 * (2 * 2048.0 + 256 + 18874368 + 128 * 2048 + 128 * 4718592.0), 1e-12));
  CHECK_THAT(f.of("kept_inputs").in(byte), WithinRel(2 * tokens * hidden * 2, 1e-12));  // two layers' in flight
  CHECK_THAT(f.of("working_tensors").in(byte), WithinRel(4 * tokens * hidden * 2 + tokens * 128 * 4, 1e-12));
  CHECK_THAT(f.of("expert_buffers").in(byte), WithinRel(tokens * 8 / 128 * (2 * 2048 + 3 * 768) * 2 * 2, 1e-12));
  // 32 query, 32 output, 4 key and 4 value heads of 128, twice; 32 S^2 scores of 10 B
  CHECK_THAT(f.of("attention_tile").in(byte), WithinRel(8192.0 * 72 * 128 * 2 * 2 + 32 * 8192.0 * 8192 * 10, 1e-12));
  CHECK(f.total() < 40 * gigabyte);
}

TEST_CASE("recomputed inputs keep every seventh of 48 layers and one stretch", "[unit]") {
  const Qwen qwen;
  CHECK(recompute_stretch(48) == 7);
  const TilePlan plan{.tile = 1, .sequences = 2, .keep = KeepInputs::recompute};
  // ceil(48 / 7) = 7 kept, 7 of a stretch
  CHECK_THAT(sram(qwen.context, plan).of("kept_inputs").in(byte), WithinRel(14 * 2 * 8192.0 * 2048 * 2, 1e-12));
}

TEST_CASE("the limits are the last that fit", "[unit]") {
  const Qwen qwen;
  TilePlan plan{.keep = KeepInputs::offload, .scores = Scores::materialised};
  const Bytes capacity = 40 * gigabyte;
  const TileLimits limits = tile_limits(qwen.context, plan, capacity, 0, 1024);
  CHECK(limits.tile == 1);  // two tiles of scores alone are 43 GB
  CHECK(limits.tiles_in_batch == 1024);
  plan.tile = 1;
  plan.sequences = static_cast<double>(limits.tiles_in_memory);
  CHECK(sram(qwen.context, plan).total() <= capacity);
  plan.sequences += 1;
  CHECK(sram(qwen.context, plan).total() > capacity);
}

TEST_CASE("few tiles are all priced, many at even cuts and doublings", "[unit]") {
  CHECK(tile_candidates(3, 1, 100) == std::vector<std::int64_t>{1, 2, 3});
  const std::vector<std::int64_t> many = tile_candidates(1000, 1, 1000);
  CHECK(many.front() == 1);
  CHECK(many.back() == 1000);
  CHECK(std::find(many.begin(), many.end(), 500) != many.end());
  CHECK(many.size() < 200);
}

TEST_CASE("too many tiles are infeasible, and the largest number that fits is named", "[unit]") {
  const Infeasible why =
      on_cs2(R"({"g": 500, "attention_tile": 1, "scores": "materialised", "keep_inputs": "offload"})").infeasible();
  CHECK_THAT(why.reason, Contains("out of SRAM: g=500 tiles of 1 sequences"));
  CHECK_THAT(why.advice, Contains("the largest g that fits is 77"));
  CHECK(*why.need > *why.have);
  CHECK(on_cs2(R"({"g": 77, "attention_tile": 1, "scores": "materialised", "keep_inputs": "offload"})").runs());
}

TEST_CASE("an attention tile beyond the SRAM is infeasible, and the largest is named", "[unit]") {
  const Infeasible why = on_cs2(R"({"attention_tile": 2, "scores": "materialised"})").infeasible();
  CHECK_THAT(why.advice, Contains("the largest attention_tile that fits is 1"));
}

TEST_CASE("more tiles than the step has sequences are infeasible", "[unit]") {
  CHECK_THAT(on_cs2(R"({"g": 2000, "attention_tile": 1})").why_not(), Contains("more than the 1024 sequences"));
}

TEST_CASE("systems must divide the batch, and the tree must reach them", "[unit]") {
  CHECK_THAT(on_cs2().with({"devices=3"}).why_not(), Contains("3 systems do not divide global_batch 1024"));
  CHECK_THAT(on_cs2().with({"devices=256"}).why_not(), Contains("joins at most 192"));
}

TEST_CASE("a resident model must fit whole and runs on one system", "[unit]") {
  CHECK_THAT(on_cs2(R"({"mode": "resident"})").why_not(), Contains("resident, the model takes"));
  const Trial tiny = on_cs2(R"({"mode": "resident"})")
                         .with({"/model/num_hidden_layers=4", "/model/num_experts=16", "/workload/sequence=2048"});
  CHECK(tiny.train().wafer->mode == WaferMode::resident);
  CHECK(tiny.exposed("weight stream") == Seconds{});
  CHECK_THAT(tiny.with({"devices=2"}).why_not(), Contains("a resident model runs on one"));
}

TEST_CASE("a model larger than the external memory is infeasible", "[unit]") {
  // 30.5e9 x (12 + 2 + 4) B = 550 GB
  CHECK_THAT(on_cs2().with({"/hardware/external_memory/capacity=500 GB"}).why_not(), Contains("external memory"));
}

TEST_CASE("what a wafer is told is read strictly and echoed in full", "[unit]") {
  CHECK_THAT(error_of([] { on_cs2(R"({"g": "many"})"); }),
             Contains("#/workload/wafer/g: \"many\": expected a whole number or \"auto\""));
  CHECK_THAT(error_of([] { on_cs2(R"({"keep_input": "sram"})"); }), Contains("did you mean \"keep_inputs\""));
  CHECK_THAT(error_of([] { on_cs2(R"({"layer_overhead": "3 GB"})"); }), Contains("expected a time"));
  const Trial asked = on_cs2(R"({"conduct": "published_pair", "g": 4, "accumulate": "outside"})");
  CHECK(Trial(asked.scenario().resolved).seconds() == asked.seconds());
}
