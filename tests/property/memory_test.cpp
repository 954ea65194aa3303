// Does memory follow the cut, the sharding and the recomputation?
#include <algorithm>
#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "scenarios.hpp"
#include "spec/catalogue.hpp"

using namespace moeline;
using Catch::Contains;
using Catch::WithinRel;

namespace {

// Latent attention, a dense first layer, shared experts: every part that can be recomputed. Small enough for one H100.
Trial latent() {
  return Trial(R"({"model": {"base": "deepseek-v2-lite", "num_hidden_layers": 6}, "hardware": "h100-sxm", "devices": 8,
      "recipe": "bf16", "parallelism": {"ep": 8},
      "workload": {"kind": "train", "sequence": 4096, "global_batch": 16, "overlap": [], "recompute": []}})");
}

Trial recomputing(const Trial& base, const std::string& list) { return base.with({"/workload/recompute=" + list}); }

ModelSpec model_named(const CatalogueEntry& entry) {
  const std::string name(entry.name);
  return read_model(parse_json(entry.text, name), name, name);
}

struct Whole {
  Parallelism parallelism{};
  Recipe recipe{};
  Routing routing{};
  TrainWorkload train{};
};

StageContent all_of(const ModelSpec& model) {
  StageContent stage;
  stage.layers_of_kind.assign(model.kinds.size(), 0);
  for (const int kind : model.layers) ++stage.layers_of_kind[static_cast<std::size_t>(kind)];
  stage.embedding = stage.head = true;
  return stage;
}

}  // namespace

TEST_CASE("one device that holds everything holds every parameter of the model, once", "[property]") {
  for (const CatalogueEntry& entry : model_catalogue()) {
    INFO(entry.name);
    const ModelSpec model = model_named(entry);
    const Whole w;
    const MemoryContext context{model, w.parallelism, w.recipe, w.routing, w.train};
    const LocalParameters local = local_parameters(context, all_of(model));
    REQUIRE_THAT(local.dense + local.expert, WithinRel(static_cast<double>(parameters(model).main), 1e-12));
  }
}

TEST_CASE("a multi-token-prediction module adds its own parameters where its tables are shared", "[property]") {
  for (const CatalogueEntry& entry : model_catalogue()) {
    const ModelSpec model = model_named(entry);
    if (model.mtp_layers.size() != 1) continue;
    INFO(entry.name);
    const Whole w;
    const MemoryContext context{model, w.parallelism, w.recipe, w.routing, w.train};
    StageContent stage = all_of(model);
    const LocalParameters without = local_parameters(context, stage);
    stage.mtp_modules = 1;
    const LocalParameters with = local_parameters(context, stage);
    const double added = with.dense + with.expert - without.dense - without.expert;
    REQUIRE_THAT(added, WithinRel(static_cast<double>(parameters(model).mtp_unique), 1e-12));
  }
}

TEST_CASE("experts and matrices of all ranks of a stage are the model's, whatever the cut", "[property]") {
  const Trial base = fine_grained();
  const ModelSpec& model = base.scenario().model;
  const auto experts = [&](std::int64_t ep, std::int64_t etp) {
    Whole w;
    w.parallelism.ep = ep;
    w.parallelism.etp = etp;
    const MemoryContext context{model, w.parallelism, w.recipe, w.routing, w.train};
    return local_parameters(context, all_of(model)).expert * static_cast<double>(ep * etp);
  };
  const double whole = experts(1, 1);
  REQUIRE_THAT(whole, WithinRel(8.0 * 128 * 3 * 2048 * 768, 1e-12));  // layers x experts x gate, up, down
  for (const std::int64_t ep : {2, 8, 64}) {
    for (const std::int64_t etp : {1, 2, 4}) REQUIRE_THAT(experts(ep, etp), WithinRel(whole, 1e-12));
  }
}

TEST_CASE("every stage of ZeRO holds no more than the one before", "[property]") {
  for (const char* part : {"optimizer", "gradients", "weights"}) {
    const int sharded_from = part == std::string("optimizer") ? 1 : part == std::string("gradients") ? 2 : 3;
    std::vector<Bytes> held;
    for (int zero = 0; zero <= 3; ++zero)
      held.push_back(small().with({"/parallelism/zero=" + std::to_string(zero)}).memory(part));
    INFO(part);
    for (int zero = 1; zero <= 3; ++zero) {
      const auto z = static_cast<std::size_t>(zero);
      CHECK((zero == sharded_from ? held[z] < held[z - 1] : held[z] == held[z - 1]));
    }
  }
  Bytes before = small().with({"/parallelism/zero=0"}).train().memory.total();
  for (const char* zero : {"1", "2", "3"}) {
    const Bytes now = small().with({std::string("/parallelism/zero=") + zero}).train().memory.total();
    CHECK(now < before);
    before = now;
  }
}

TEST_CASE("sharding weights costs time", "[property]") {
  const double gathered_once = small().with({"/parallelism/zero=1"}).seconds();
  CHECK(small().with({"/parallelism/zero=2"}).seconds() > gathered_once);
  CHECK(small().with({"/parallelism/zero=3"}).seconds() > small().with({"/parallelism/zero=2"}).seconds());
}

TEST_CASE("what is recomputed is not held, and takes time", "[property]") {
  for (const char* recipe : {"bf16", "fp8_block"}) {
    const Trial none = latent().with({std::string("recipe=") + recipe});
    for (const char* part : {"core_attn", "layernorm", "moe_act", "mla_up_proj", "mlp", "moe", "shared_experts"}) {
      const Trial trial = recomputing(none, std::string("[\"") + part + "\"]");
      INFO(recipe << " " << part);
      CHECK(trial.memory("activations") < none.memory("activations"));
      CHECK(trial.seconds() > none.seconds());
      for (const char* other : {"weights", "gradients", "optimizer"}) CHECK(trial.memory(other) == none.memory(other));
    }
  }
}

TEST_CASE("the more is recomputed the less is held, full recomputation least", "[property]") {
  const std::vector<std::string> lists{
      "[]",
      "[\"core_attn\"]",
      "[\"core_attn\", \"layernorm\"]",
      "[\"core_attn\", \"layernorm\", \"mla_up_proj\"]",
      "[\"core_attn\", \"layernorm\", \"mla_up_proj\", \"moe_act\", \"mlp\"]",
      "[\"core_attn\", \"layernorm\", \"mla_up_proj\", \"moe\", \"mlp\", \"shared_experts\"]",
      "full"};
  for (std::size_t i = 1; i < lists.size(); ++i) {
    INFO(lists[i]);
    CHECK(recomputing(latent(), lists[i]).memory("activations") <
          recomputing(latent(), lists[i - 1]).memory("activations"));
    CHECK(recomputing(latent(), lists[i]).seconds() > recomputing(latent(), lists[i - 1]).seconds());
  }
}

TEST_CASE("full recomputation holds the layer inputs and costs one more forward", "[property]") {
  const Trial full = recomputing(small(), "full");
  // 8 layers x 4096 tokens x 4096 wide x 2 bytes
  REQUIRE_THAT(full.memory("activations").in(byte), WithinRel(8.0 * 4096 * 4096 * 2, 1e-12));
  Seconds again, forward;
  for (const BreakdownRow& row : full.train().breakdown.rows()) {
    const bool ends =
        row.name == "embedding" || row.name == "head" || row.name == "loss" || row.name == "parameter gather";
    if (row.phase == "recompute") again += row.seconds;
    if (row.phase == "forward" && !ends) forward += row.seconds;
  }
  // The final norm belongs to the head, which is not recomputed: one norm pass per micro-batch.
  const Seconds final_norm = 4.0 * (2.0 * 4096 * 4096 * 2 * byte / (3.35 * terabyte_per_second));
  REQUIRE_THAT(again.in(second), WithinRel((forward - final_norm).in(second), 1e-9));
}

TEST_CASE("activations are proportional to the micro-batch", "[property]") {
  const double one = small().memory("activations").in(byte);
  REQUIRE_THAT(small().with({"/workload/micro_batch=2"}).memory("activations").in(byte), WithinRel(2 * one, 1e-12));
  REQUIRE_THAT(small().with({"/workload/micro_batch=4"}).memory("activations").in(byte), WithinRel(4 * one, 1e-12));
}

TEST_CASE("activations are proportional to the sequence: flash attention keeps no scores", "[property]") {
  const double once = small().memory("activations").in(byte);
  REQUIRE_THAT(small().with({"/workload/sequence=8192"}).memory("activations").in(byte), WithinRel(2 * once, 1e-12));
}

TEST_CASE("wider expert parallelism holds fewer expert weights", "[property]") {
  Bytes before = fine_grained().with({"/parallelism/ep=1"}).memory("weights");
  for (const char* ep : {"2", "4", "8", "16", "32", "64"}) {
    const Bytes now = fine_grained().with({std::string("/parallelism/ep=") + ep}).memory("weights");
    CHECK(now < before);
    before = now;
  }
}

TEST_CASE("tensor and pipeline parallelism hold fewer weights", "[property]") {
  for (const char* field : {"/parallelism/tp=", "/parallelism/pp="}) {
    Bytes before = small().with({"/parallelism/ep=1", "/model/num_hidden_layers=4"}).memory("weights");
    for (const char* degree : {"2", "4"}) {
      const Trial trial =
          small().with({"/parallelism/ep=1", "/model/num_hidden_layers=4", std::string(field) + degree});
      INFO(field << degree);
      CHECK(trial.memory("weights") < before);
      before = trial.memory("weights");
    }
  }
}

TEST_CASE("quantised copies are held beside the resident weights or in their place, as the recipe says", "[property]") {
  const Trial plain = small(), beside = small().with({"recipe=fp8_block"}),
              instead = small().with({"recipe=fp8_tensor"});
  CHECK(plain.memory("quantised_weights") == Bytes{});
  CHECK(beside.memory("weights") == plain.memory("weights"));
  CHECK(beside.memory("quantised_weights") > Bytes{});
  // Row-wise and column-wise copies of one byte take what one bf16 copy took.
  const Bytes both = instead.memory("weights") + instead.memory("quantised_weights");
  REQUIRE_THAT(both.in(byte), WithinRel(plain.memory("weights").in(byte), 1e-9));
  for (const Trial& fp8 : {beside, instead}) CHECK(fp8.memory("activations") < plain.memory("activations"));
}

TEST_CASE("smaller optimiser states hold less and are updated sooner", "[property]") {
  const Trial full = small(), half = small().with({"/workload/optimizer=adam_bf16_states"});
  REQUIRE_THAT(full.memory("optimizer") / half.memory("optimizer"), WithinRel(12.0 / 8.0, 1e-12));  // 4+4+4 and 4+2+2
  CHECK(half.exposed("optimizer") < full.exposed("optimizer"));
}

TEST_CASE("GPipe holds every micro-batch, 1F1B as many as there are stages", "[property]") {
  const Trial base = small().with({"/parallelism/pp=2"});  // dp 8, 8 micro-batches
  const Trial gpipe = base.with({"/parallelism/schedule=gpipe"}), one = base.with({"/parallelism/schedule=1f1b"});
  REQUIRE_THAT(gpipe.memory("activations") / one.memory("activations"), WithinRel(8.0 / 2.0, 1e-9));
}

TEST_CASE("a scenario that does not fit says how much it needs, and fits on a larger device", "[property]") {
  const Trial large = small().with({"/model/num_hidden_layers=32", "/parallelism/ep=1"});
  const Infeasible& why = large.infeasible();
  REQUIRE(why.need);
  REQUIRE(why.have);
  CHECK(*why.need > *why.have);
  REQUIRE_THAT(why.have->in(gigabyte), WithinRel(80.0, 1e-12));
  CHECK_THAT(why.reason, Contains("out of memory"));
  CHECK_FALSE(why.advice.empty());
  const double need = why.need->in(gigabyte);
  const auto with_capacity = [&](double gigabytes) {
    return large.with({"/hardware/device/hbm_capacity=" + std::to_string(gigabytes) + " GB"});
  };
  CHECK_FALSE(with_capacity(0.999 * need).runs());
  const Trial fits = with_capacity(1.001 * need);
  REQUIRE_THAT(fits.train().memory.total().in(gigabyte), WithinRel(need, 1e-12));
}

TEST_CASE("memory capacity alone does not change the time of what fits", "[property]") {
  CHECK(small().with({"/hardware/device/hbm_capacity=400 GB"}).seconds() == small().seconds());
}
