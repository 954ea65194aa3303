#include "memory/footprint.hpp"

#include <catch2/catch.hpp>
#include <string>

#include "spec/catalogue.hpp"

using namespace moeline;
using Catch::WithinRel;

namespace {

struct Setup {
  ModelSpec model;
  Parallelism parallelism{};
  Recipe recipe{};
  Routing routing{};
  TrainWorkload train{};

  explicit Setup(const std::string& name)
      : model([&] {
          const Document document = find_model(name, name);
          return read_model(document.json, document.origin, name);
        }()) {}
  MemoryContext context() const { return {model, parallelism, recipe, routing, train}; }
  Bytes saved(std::string_view name) const {
    Bytes sum;
    for (const SavedTensor& tensor : saved_tensors(context(), model.layer(model.layers.size() - 1))) {
      if (name.empty() || tensor.name == name) sum += tensor.bytes;
    }
    return sum;
  }
  Bytes saved() const { return saved(""); }
};

StageContent layers(const ModelSpec& model, int count) {
  StageContent stage;
  stage.layers_of_kind.assign(model.kinds.size(), 0);
  stage.layers_of_kind[static_cast<std::size_t>(model.layers.back())] = count;
  return stage;
}

constexpr double kTokens = 4096;

}  // namespace

TEST_CASE("a Mixtral layer saves what its backward reads, tensor by tensor", "[unit]") {
  const Setup s("mixtral-8x7b");
  const double h = 4096, bf16 = 2, fp32 = 4;
  CHECK(s.saved("layer input").in(byte) == kTokens * h * bf16);
  CHECK(s.saved("query, key, value").in(byte) == kTokens * (32 + 2 * 8) * 128 * bf16);
  CHECK(s.saved("softmax statistics").in(byte) == kTokens * 32 * fp32);
  CHECK(s.saved("expert rows").in(byte) == kTokens * 2 * h * bf16);  // top 2
  CHECK(s.saved("expert gate and up").in(byte) == kTokens * 2 * 2 * 14336 * bf16);
  CHECK(s.saved("expert activation").in(byte) == kTokens * 2 * 14336 * bf16);
}

TEST_CASE("tensor parallelism with sequence parallelism divides everything a layer saves", "[unit]") {
  Setup s("mixtral-8x7b");
  const double whole = s.saved().in(byte);
  for (const std::int64_t tp : {2, 4, 8}) {
    s.parallelism.tp = tp;
    REQUIRE_THAT(s.saved().in(byte) * static_cast<double>(tp), WithinRel(whole, 1e-12));
  }
}

TEST_CASE("expert parallelism saves as many rows: those sent away come back from others", "[unit]") {
  Setup s("mixtral-8x7b");
  const double whole = s.saved("expert rows").in(byte);
  s.parallelism.ep = 8;
  REQUIRE_THAT(s.saved("expert rows").in(byte), WithinRel(whole, 1e-12));
}

TEST_CASE("narrow formats save narrow inputs", "[unit]") {
  Setup s("mixtral-8x7b");
  const double wide = s.saved("expert rows").in(byte);
  s.recipe.expert = DType::mxfp8;
  REQUIRE_THAT(s.saved("expert rows").in(byte), WithinRel(wide * 8.25 / 16, 1e-12));
}

TEST_CASE("full recomputation saves the layer input alone", "[unit]") {
  Setup s("deepseek-v3");
  s.train.full_recompute = true;
  CHECK(s.saved().in(byte) == kTokens * 7168 * 2);
}

TEST_CASE("every part recomputed saves less", "[unit]") {
  Setup s("deepseek-v3");
  const Bytes none = s.saved();
  for (const Recompute part : {Recompute::core_attn, Recompute::layernorm, Recompute::moe_act, Recompute::mla_up_proj,
                               Recompute::moe, Recompute::shared_experts}) {
    s.train.recompute = {part};
    INFO(name(part));
    CHECK(s.saved() < none);
  }
  s.train.recompute = {Recompute::mlp};  // of dense layers; this one has experts
  CHECK(s.saved() == none);
}

TEST_CASE("Adam keeps a master weight and two moments", "[unit]") {
  CHECK(optimizer_bytes_per_parameter({}).in(byte) == 4 + 4 + 4);
  CHECK(optimizer_bytes_per_parameter({.moment = DType::bf16}).in(byte) == 4 + 2 + 2);
  CHECK(optimizer_bytes_per_parameter({.master = DType::bf16, .moment = DType::fp8}).in(byte) == 2 + 1 + 1);
  CHECK(optimizer_bytes_per_parameter({.optimizer = Optimizer::muon}).in(byte) == 4 + 4);  // one moment
}

TEST_CASE("weights, gradients and states of one layer are 2, 4 and 12 bytes of every parameter", "[unit]") {
  Setup s("mixtral-8x7b");
  s.parallelism.zero = 0;
  const Footprint f = footprint(s.context(), layers(s.model, 1));
  const double parameters = 41'943'040 + 2 * 4096 + 4096 * 8 + 8 * 176'160'768.0;  // attention, norms, router, experts
  REQUIRE_THAT(f.of("weights").in(byte), WithinRel(2 * parameters, 1e-12));
  REQUIRE_THAT(f.of("gradients").in(byte), WithinRel(4 * parameters, 1e-12));
  REQUIRE_THAT(f.of("optimizer").in(byte), WithinRel(12 * parameters, 1e-12));
}

TEST_CASE("experts are sharded over their own data-parallel ranks", "[unit]") {
  Setup s("mixtral-8x7b");
  s.parallelism = {.ep = 8, .dp = 16, .zero = 1};  // two copies of every expert
  const LocalParameters local = local_parameters(s.context(), layers(s.model, 1));
  const Footprint f = footprint(s.context(), layers(s.model, 1));
  CHECK(local.expert == 176'160'768);
  REQUIRE_THAT(f.of("optimizer").in(byte), WithinRel(12 * (local.dense / 16 + local.expert / 2), 1e-12));
}

TEST_CASE("activations count every micro-batch in flight", "[unit]") {
  const Setup s("mixtral-8x7b");
  StageContent stage = layers(s.model, 3);
  const double one = footprint(s.context(), stage).of("activations").in(byte);
  REQUIRE_THAT(one, WithinRel(3 * s.saved().in(byte), 1e-12));
  stage.micro_batches = 5.5;
  REQUIRE_THAT(footprint(s.context(), stage).of("activations").in(byte), WithinRel(5.5 * one, 1e-12));
}

TEST_CASE("stubs are a layer's distinct weights, one expert among them, in bf16", "[unit]") {
  const Setup s("mixtral-8x7b");
  const double parameters = 41'943'040 + 2 * 4096 + 4096 * 8 + 176'160'768.0;  // attention, norms, router, one expert
  for (const int count : {1, 7}) {
    REQUIRE_THAT(footprint(s.context(), layers(s.model, count)).of("wgrad_stubs").in(byte), WithinRel(2 * parameters, 1e-12));
  }
}

TEST_CASE("the head works on logits, their gradient and its own stub", "[unit]") {
  Setup s("mixtral-8x7b");
  StageContent stage = layers(s.model, 0);
  stage.head = true;
  // 4 bytes of 4096 x 32,000 logits, 2 of 4096 x 32,000 weights
  REQUIRE_THAT(footprint(s.context(), stage).of("workspace").in(byte), WithinRel(6 * 4096.0 * 32'000, 1e-12));
}

TEST_CASE("a loss that is not fused holds logits in fp32", "[unit]") {
  const auto bytes_a_logit = [](EnumSet<ExtraPass> passes) {
    Setup s("mixtral-8x7b");
    s.train.extra_passes = passes;
    StageContent stage = layers(s.model, 0);
    stage.head = true;
    return footprint(s.context(), stage).of("workspace").in(byte) / (4096.0 * 32'000) - 2;  // its own stub
  };
  // Whole bytes: rounding of the quotient alone.
  CHECK_THAT(bytes_a_logit({}), WithinRel(2 + 2, 1e-12));
  CHECK_THAT(bytes_a_logit({ExtraPass::vocabulary_loss}), WithinRel(4 + 2, 1e-12));
  CHECK_THAT(bytes_a_logit({ExtraPass::log_softmax}), WithinRel(4 + 4 + 2, 1e-12));
}

TEST_CASE("ZeRO 3 gathers two layers at a time", "[unit]") {
  Setup s("mixtral-8x7b");
  s.parallelism = {.dp = 16, .zero = 2};
  const Bytes before = footprint(s.context(), layers(s.model, 4)).of("workspace");
  s.parallelism.zero = 3;
  const Footprint f = footprint(s.context(), layers(s.model, 4));
  REQUIRE_THAT((f.of("workspace") - before).in(byte), WithinRel(2 * f.of("wgrad_stubs").in(byte), 1e-12));
}

TEST_CASE("a stage without layers holds nothing, in every recipe", "[unit]") {
  for (const char* recipe : {"bf16", "fp8_tensor", "fp8_block", "mxfp8", "nvfp4"}) {
    Setup s("mixtral-8x7b");
    s.recipe = read_recipe(recipe, "test");
    INFO(recipe);
    CHECK(footprint(s.context(), layers(s.model, 0)).total() == Bytes{});
  }
}

TEST_CASE("a tied table is held once on a stage that has both ends", "[unit]") {
  const Setup tied("hunyuan-a13b"), untied("mixtral-8x7b");
  const auto ends = [](const Setup& s) {
    StageContent stage = layers(s.model, 0);
    stage.embedding = stage.head = true;
    return local_parameters(s.context(), stage).dense;
  };
  CHECK(ends(tied) == 128'167.0 * 4096 + 4096);  // the table and the final norm
  CHECK(ends(untied) == 2 * 32'000.0 * 4096 + 4096);
}
