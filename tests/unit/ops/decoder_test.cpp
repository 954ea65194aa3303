#include "ops/decoder.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <set>
#include <string>

#include "plan/step_cost.hpp"
#include "scenarios.hpp"
#include "spec/catalogue.hpp"

using namespace moeline;
using Catch::WithinRel;

namespace {

struct OneLayer {
  ModelSpec model;
  Parallelism parallelism{};
  Recipe recipe{};
  Routing routing{};
  TrainWorkload train{};

  explicit OneLayer(const std::string& name)
      : model([&] {
          const Document document = find_model(name, name);
          return read_model(document.json, document.origin, name);
        }()) {}
  DecoderContext context() const { return {model, parallelism, recipe, routing, 1, 4096, train}; }
  const LayerKind& last() const { return model.layer(model.layers.size() - 1); }
  Step forward() const { return layer_forward(context(), last()); }
  Step backward() const { return layer_backward(context(), last()); }
};

std::vector<std::string> names(const Step& step) {
  std::vector<std::string> list;
  for (const Op& op : step) list.emplace_back(op.name);
  return list;
}

std::set<std::string> recomputed(const Step& step) {
  std::set<std::string> list;
  for (const Op& op : step) {
    if (op.phase == Phase::recompute) list.emplace(op.name);
  }
  return list;
}

int count_lane(const Step& step, Lane lane) {
  return static_cast<int>(std::count_if(step.begin(), step.end(), [&](const Op& op) { return op.lane == lane; }));
}

// Bytes of the passes over memory of that name.
double moved(const Step& step, std::string_view name) {
  Bytes sum;
  const auto add = [&](const auto* pass) {
    if (pass != nullptr) sum += pass->read + pass->written;
  };
  for (const Op& op : step) {
    if (op.name != name) continue;
    add(std::get_if<Elementwise>(&op.work));
    add(std::get_if<Permute>(&op.work));
  }
  return sum.in(byte);
}

const Op& op_named(const Step& step, std::string_view name) {
  return *std::find_if(step.begin(), step.end(), [&](const Op& op) { return op.name == name; });
}

}  // namespace

TEST_CASE("the forward of an MoE layer runs in the order of the formula", "[unit]") {
  OneLayer layer("mixtral-8x7b");
  layer.parallelism.ep = 8;
  CHECK(names(layer.forward()) == std::vector<std::string>{"attention norm", "query-key-value", "heads apart", "rotary embedding",
                                                           "attention", "output", "residual", "FFN norm", "logits", "top-k",
                                                           "rows by expert", "weights", "permute", "dispatch", "gate+up", "SwiGLU",
                                                           "down", "combine", "unpermute", "residual"});
}

TEST_CASE("one rank alone has nothing on the network lane", "[unit]") {
  for (const char* name : {"mixtral-8x7b", "deepseek-v3", "qwen3-next-80b-a3b", "llama-3.1-8b"}) {
    const OneLayer layer(name);
    CHECK(count_lane(layer.forward(), Lane::network) == 0);
    CHECK(count_lane(layer.backward(), Lane::network) == 0);
  }
}

TEST_CASE("expert parallelism exchanges rows twice forward and twice backward, and what they need", "[unit]") {
  OneLayer layer("mixtral-8x7b");
  layer.parallelism.ep = 8;
  CHECK(count_lane(layer.forward(), Lane::network) == 2 + 2);  // counts, weights of rows
  CHECK(count_lane(layer.backward(), Lane::network) == 2 + 1);  // gradients of weights
  layer.train.transport = Transport::deepep;  // weights travel with their rows
  CHECK(count_lane(layer.forward(), Lane::network) == 2 + 1);
  CHECK(count_lane(layer.backward(), Lane::network) == 2);
}

TEST_CASE("Hybrid-EP sends every rank a byte of every token and expert, and reads them all", "[unit]") {
  OneLayer layer("deepseek-v3");
  layer.parallelism.ep = 64;
  layer.train.transport = Transport::hybridep;
  const Step step = layer.forward();
  const double map = 4096.0 * 64 * 256;
  const TokenExchange& sent = std::get<TokenExchange>(op_named(step, "routing map").work);
  CHECK(sent.copy == 256 * byte);
  CHECK(expected_domains_hit(sent.moe, 64) == 64);
  CHECK(moved(step, "rows by rank") == map + map / 64);
}

TEST_CASE("what sorts rows behind the exchange reads a token once for every rank that it goes to", "[unit]") {
  OneLayer layer("qwen3-235b-a22b");
  layer.parallelism.ep = 128;  // an expert a rank: eight ranks, eight rows
  const double row = 4096.0 * 4096 * 2;
  CHECK_THAT(moved(layer.forward(), "permute"), WithinRel((1 + 8) * row, 1e-12));  // before it
  for (const Transport transport : {Transport::deepep, Transport::hybridep}) {
    layer.train.transport = transport;
    for (const char* name : {"permute", "unpermute"}) {
      CHECK_THAT(moved(layer.forward(), name), WithinRel((8 + 8) * row, 1e-12));
      CHECK_THAT(moved(layer.backward(), name), WithinRel((8 + 8) * row, 1e-12));
    }
  }
  layer.parallelism.ep = 1;
  CHECK_THAT(moved(layer.forward(), "permute"), WithinRel((1 + 8) * row, 1e-12));
  layer.parallelism.ep = 32;
  layer.train.moe_permute_fusion_into_hybridep = true;
  CHECK(moved(layer.forward(), "permute") + moved(layer.backward(), "permute") == 0);
  CHECK(std::get<TokenExchange>(op_named(layer.forward(), "dispatch").work).sorted);
}

TEST_CASE("latents come from two products, whose input's gradients are summed, or from one", "[unit]") {
  OneLayer layer("deepseek-v3");
  const double sum = 3 * 4096.0 * 7168 * 2;
  const Step step = layer.forward();
  CHECK(std::get<Gemm>(op_named(step, "query down").work).n == 1536);
  CHECK(std::get<Gemm>(op_named(step, "key-value down").work).n == 512 + 64);
  CHECK(moved(step, "latent norm") == 2 * 4096.0 * 2112 * 2);
  CHECK(moved(layer.backward(), "latent norm") == 3 * 4096.0 * 2112 * 2);
  const double apart = moved(layer.backward(), "sum of gradients");
  layer.train.mla_down_proj_fusion = true;
  CHECK(std::get<Gemm>(op_named(layer.forward(), "latent down").work).n == 2112);
  CHECK(apart - moved(layer.backward(), "sum of gradients") == sum);
}

TEST_CASE("heads are normed, rotated and copied out of the joint product", "[unit]") {
  OneLayer layer("qwen3-235b-a22b");  // 64 heads and 4 of keys, 128 wide
  const double head = 4096.0 * 128 * 2;
  CHECK(moved(layer.forward(), "rotary embedding") == 2 * (64 + 4) * head);
  CHECK(moved(layer.backward(), "rotary embedding") == 2 * (64 + 4) * head);  // its gradient alone
  CHECK(moved(layer.forward(), "query and key norms") == 2 * (64 + 4) * head);
  CHECK(moved(layer.backward(), "query and key norms") == 3 * (64 + 4) * head);
  CHECK(moved(layer.forward(), "heads apart") == 2 * (64 + 4) * head);  // queries of several groups, values
  CHECK(moved(layer.backward(), "gradients in one") == 2 * (64 + 2 * 4) * head);
  layer.parallelism.tp = 4;  // one group a rank
  CHECK(moved(layer.forward(), "heads apart") == 2 * head);
  layer.train.extra_passes = {ExtraPass::projections};
  CHECK(moved(layer.forward(), "heads apart") + moved(layer.backward(), "gradients in one") == 0);
  // Latent attention: 128 heads; 64 of a query rotate in place, 128 + 128 leave the joint product as 128 + 64 and 128.
  OneLayer latent("deepseek-v3");
  CHECK(moved(latent.forward(), "rotary embedding") == (2 * 64 + 256 + 320) * 128 * 4096.0 * 2);
  CHECK(moved(latent.backward(), "rotary embedding") == moved(latent.forward(), "rotary embedding"));
}

TEST_CASE("Transformer Engine quantises rows expert by expert, with scales of former steps at once", "[unit]") {
  OneLayer layer("deepseek-v3");
  layer.parallelism.ep = 64;
  const auto launches = [&](const char* recipe, std::string_view name) {
    layer.recipe = read_recipe(recipe, "test");
    return std::get<Quantize>(op_named(layer.forward(), name).work).launches;
  };
  CHECK(launches("mxfp8", "quantise rows") == 4);
  CHECK(launches("mxfp8", "quantise activation") == 4);
  CHECK(launches("mxfp8", "quantise input") == 1);
  CHECK(launches("fp8_tensor_current", "quantise rows") == 4);
  CHECK(launches("fp8_tensor", "quantise rows") == 1);
  CHECK(launches("mxfp8_torchao", "quantise rows") == 1);
}

TEST_CASE("tensor parallelism gathers and scatters around attention, and around a dense FFN", "[unit]") {
  OneLayer moe("mixtral-8x7b"), dense("llama-3.1-8b");
  moe.parallelism.tp = dense.parallelism.tp = 2;
  CHECK(count_lane(moe.forward(), Lane::network) == 2);
  CHECK(count_lane(dense.forward(), Lane::network) == 4);
}

TEST_CASE("projections apart are products of their own widths, and their input's gradients are summed", "[unit]") {
  OneLayer layer("llama-3.1-8b");
  layer.parallelism.tp = 8;
  layer.train.extra_passes = {ExtraPass::projections};
  const Step step = layer.forward();
  const auto width = [&](std::string_view name) {
    const auto op = std::find_if(step.begin(), step.end(), [&](const Op& candidate) { return candidate.name == name; });
    return std::get<Gemm>(op->work).n;
  };
  CHECK(width("query") == 512);  // 32 heads of 128 over 8 ranks
  CHECK(width("key") == 128);    // 8 heads
  CHECK(width("value") == 128);
  CHECK(width("gate") == 1792);  // 14,336 over 8
  CHECK(width("up") == 1792);
  // Of q, k, v and of gate, up: three and two tensors read, one written. 4096 tokens x 4096 x 2 bytes = 33.55 MB each.
  CHECK(moved(layer.backward(), "sum of gradients") == (4 + 3) * 4096.0 * 4096 * 2);
}

TEST_CASE("a ring of context ranks merges its partial results in fp32", "[unit]") {
  OneLayer layer("llama-3.1-8b");
  CHECK(moved(layer.forward(), "merge of the ring") == 0);
  layer.parallelism.cp = 4;
  // Three merges of 1024 tokens x 32 heads x 128, 10 bytes each; in backward q, and k and v of 8 heads, too.
  REQUIRE_THAT(moved(layer.forward(), "merge of the ring"), WithinRel(3.0 * 1024 * 4096 * 10, 1e-12));
  REQUIRE_THAT(moved(layer.backward(), "merge of the ring"), WithinRel(3.0 * 1024 * (4096 + 2048) * 10, 1e-12));
  layer.train.attention = AttentionKernel::flash2;
  REQUIRE_THAT(moved(layer.forward(), "merge of the ring"), WithinRel(3.0 * 1024 * 4096 * 38, 1e-12));
}

TEST_CASE("a dropped-out branch reads its mask again, and biases are passes where no product adds them", "[unit]") {
  OneLayer layer("llama-3.1-8b");
  layer.model = read_model(parse_json(R"({"model_type": "gpt2", "n_embd": 768, "n_layer": 1, "n_head": 12, "n_positions": 4096,
      "vocab_size": 50257})", "gpt2"), "gpt2", "gpt2");
  const double tokens = 4096, hidden = 768;
  REQUIRE_THAT(moved(layer.backward(), "dropout"), WithinRel(2 * tokens * hidden * 5, 1e-12));
  CHECK(moved(layer.backward(), "bias gradient") == 0);
  layer.train.extra_passes = {ExtraPass::biases};
  REQUIRE_THAT(moved(layer.forward(), "bias"), WithinRel(tokens * 3 * hidden * 4, 1e-12));
  // q, k, v and the four-fold width; output and down: 3 + 4 + 1 + 1.
  REQUIRE_THAT(moved(layer.backward(), "bias gradient"), WithinRel(tokens * 9 * hidden * 2, 1e-12));
}

TEST_CASE("the loss over a cut vocabulary moves 52 bytes a logit, a log-softmax 30, a fused kernel 6", "[unit]") {
  OneLayer layer("llama-3.1-8b");
  const double logits = 4096.0 * 128256;
  const auto loss = [&] { return moved(head_forward(layer.context()), "cross entropy"); };
  REQUIRE_THAT(loss(), WithinRel(6 * logits, 1e-12));
  layer.train.extra_passes = {ExtraPass::log_softmax};
  REQUIRE_THAT(loss(), WithinRel(30 * logits, 1e-12));
  layer.train.extra_passes = {ExtraPass::vocabulary_loss};
  REQUIRE_THAT(loss(), WithinRel(52 * logits, 1e-12));
}

TEST_CASE("what leaves a layer's input by three ways comes back as three gradients", "[unit]") {
  // deepseek-v3: experts, router and shared expert, two sums of 4096 x 7168, and one of its two latents; mixtral has no shared expert.
  CHECK(moved(OneLayer("deepseek-v3").forward(), "shared expert") == 3 * 4096.0 * 7168 * 2);
  CHECK(moved(OneLayer("deepseek-v3").backward(), "sum of gradients") == 3 * 3 * 4096.0 * 7168 * 2);
  CHECK(moved(OneLayer("mixtral-8x7b").forward(), "shared expert") == 0);
  CHECK(moved(OneLayer("mixtral-8x7b").backward(), "sum of gradients") == 3 * 4096.0 * 4096 * 2);
}

TEST_CASE("ops depend only on ops before them", "[unit]") {
  for (const char* name : {"mixtral-8x7b", "deepseek-v3", "qwen3-next-80b-a3b"}) {
    OneLayer layer(name);
    layer.parallelism = {.tp = 2, .ep = 4, .etp = 2, .cp = 2};
    layer.train.overlap = {Overlap::tp, Overlap::shared_expert};
    layer.train.recompute = {Recompute::moe, Recompute::layernorm};
    for (const Step& step : {layer.forward(), layer.backward()}) {
      for (std::size_t i = 0; i < step.size(); ++i) {
        for (const int dependency : step[i].after) CHECK(dependency < static_cast<int>(i));
        if (i > 0) CHECK(std::any_of(step[i].after.begin(), step[i].after.end(), [](int d) { return d >= 0; }));
      }
    }
  }
}

TEST_CASE("every switch of recomputation repeats its own part of the forward", "[unit]") {
  OneLayer layer("deepseek-v3");
  layer.parallelism.ep = 8;
  const auto again = [&](Recompute what) {
    layer.train.recompute = {what};
    return recomputed(layer.backward());
  };
  CHECK(again(Recompute::core_attn) == std::set<std::string>{"attention"});
  CHECK(again(Recompute::layernorm) == std::set<std::string>{"attention norm", "latent norm", "FFN norm"});
  CHECK(again(Recompute::moe_act) == std::set<std::string>{"SwiGLU"});
  CHECK(again(Recompute::mla_up_proj) == std::set<std::string>{"query up", "key-value up", "rotary embedding"});
  CHECK(again(Recompute::mlp).empty());  // this layer has experts instead
  const std::set<std::string> moe = again(Recompute::moe);
  for (const char* name : {"logits", "top-k", "permute", "dispatch", "gate+up", "SwiGLU", "down", "combine"})
    CHECK(moe.contains(name));
  CHECK_FALSE(moe.contains("attention"));
}

TEST_CASE("a recomputed exchange is exchanged again", "[unit]") {
  OneLayer layer("mixtral-8x7b");
  layer.parallelism.ep = 8;
  layer.train.full_recompute = true;
  CHECK(count_lane(layer.backward(), Lane::network) == 4 + 3);  // dispatch and combine with what they need again, and their reversals
}

TEST_CASE("quantised operands bring their own passes, bf16 none", "[unit]") {
  OneLayer layer("mixtral-8x7b");
  const auto passes = [&] {
    const Step step = layer.forward();
    return std::count_if(step.begin(), step.end(),
                         [](const Op& op) { return std::holds_alternative<Quantize>(op.work); });
  };
  CHECK(passes() == 0);
  layer.recipe.expert = DType::mxfp8;
  CHECK(passes() == 2);  // rows, activation
  layer.recipe.linear = DType::mxfp8;
  CHECK(passes() == 4);  // and the inputs of both attention projections
}

TEST_CASE("each recipe brings the passes that its kernels run", "[unit]") {
  OneLayer layer("mixtral-8x7b");
  const auto count = [&](const Step& step, std::string_view name) {
    return std::count_if(step.begin(), step.end(), [&](const Op& op) { return op.name == name; });
  };
  layer.recipe = read_recipe("mxfp8", "test");
  CHECK(count(layer.forward(), "relayout") == 8);  // both copies of four inputs
  CHECK(count(layer.forward(), "quantise weight") == 0);  // once per optimiser step
  layer.recipe = read_recipe("mxfp8_torchao", "test");
  CHECK(count(layer.forward(), "quantise weight") == 4);
  CHECK(count(layer.forward(), "relayout") == 8);  // rows of four inputs and of four weights
  CHECK(count(layer.backward(), "quantise input again") == 4);  // columns, for wgrad
  layer.recipe = read_recipe("mxfp8_fused", "test");
  CHECK(count(layer.forward(), "relayout") == 0);
  CHECK(count(layer.forward(), "SwiGLU + quantise") == 1);
  CHECK(count(layer.forward(), "quantise activation") == 0);
  layer.recipe = read_recipe("mxfp8_dequant_bf16", "test");
  CHECK(count(layer.forward(), "to bf16") == 4);
  CHECK(count(layer.forward(), "weight to bf16") == 4);
}

TEST_CASE("rows quantised before dispatch halve the wire and leave their wgrad in bf16", "[unit]") {
  OneLayer layer("mixtral-8x7b");
  layer.parallelism.ep = 8;
  layer.recipe = read_recipe("mxfp8_dispatch", "test");
  Bytes dispatched;
  for (const Op& op : layer.forward()) {
    if (op.name == "dispatch") dispatched = std::get<TokenExchange>(op.work).copy;
  }
  CHECK_THAT(dispatched.in(byte), WithinRel(4096 * 8.25 / 8, 1e-12));
  for (const Op& op : layer.backward()) {
    if (op.name == "gate+up wgrad") CHECK(std::get<GroupedGemm>(op.work).operands == DType::bf16);
    if (op.name == "gate+up dgrad") CHECK(std::get<GroupedGemm>(op.work).operands == DType::mxfp8);
  }
}

TEST_CASE("one kernel takes the place of exchanges, permutations and expert products", "[unit]") {
  OneLayer layer("mixtral-8x7b");
  layer.parallelism.ep = 8;
  layer.recipe = read_recipe("mxfp8_megakernel", "test");
  for (const Step& step : {layer.forward(), layer.backward()}) {
    CHECK(count_lane(step, Lane::network) == 0);
    CHECK(std::count_if(step.begin(), step.end(),
                        [](const Op& op) { return std::holds_alternative<FusedExperts>(op.work); }) == 1);
  }
}

TEST_CASE("an expert's rows are the tokens times top-k spread over the experts of the group", "[unit]") {
  OneLayer layer("mixtral-8x7b");
  layer.parallelism.ep = 4;
  for (const Op& op : layer.forward()) {
    if (const GroupedGemm* gemm = std::get_if<GroupedGemm>(&op.work)) {
      CHECK(gemm->groups == 2);                         // 8 experts on 4 ranks
      REQUIRE_THAT(gemm->m, WithinRel(4096.0, 1e-12));  // 4096 tokens x 2 / 2 local experts
    }
  }
}

TEST_CASE("shared experts hide a dispatch behind all of their work, forward and backward", "[unit]") {
  OneLayer layer("deepseek-v3");
  layer.parallelism.ep = 8;
  const Trial trial = small();
  Fabric fabric = trial.scenario().cluster.fabric;
  const Calibration neutral{};
  const auto exposed_and_needed = [&](const Step& step) {
    const Machine machine{std::get<Gpu>(trial.scenario().cluster.device), fabric, neutral};
    const StepCost cost = step_cost(step, machine);
    Seconds exposed, dispatch, shared;
    for (std::size_t i = 0; i < step.size(); ++i) {
      if (step[i].group == "dispatch") {
        exposed += cost.timeline.intervals[i].exposed;
        dispatch += cost.costs[i].time;
      }
      if (step[i].group.starts_with("shared expert")) shared += cost.costs[i].time;
    }
    return std::pair{exposed, max(Seconds{}, dispatch - shared)};
  };
  for (const bool forward : {true, false}) {
    for (const double bandwidth : {100.0, 450.0, 3000.0}) {
      fabric[0].bandwidth.value = bandwidth * gigabyte_per_second;
      layer.train.overlap = {Overlap::shared_expert};
      const auto [exposed, needed] = exposed_and_needed(forward ? layer.forward() : layer.backward());
      INFO((forward ? "forward" : "backward") << " at " << bandwidth << " GB/s: exposed " << exposed.in(microsecond)
                                              << " us, at least " << needed.in(microsecond) << " us");
      CHECK(exposed <= needed * (1 + 1e-9) + 1e-12 * second);
    }
  }
}

TEST_CASE("the head multiplies every token with the vocabulary, and its loss passes over the logits", "[unit]") {
  const OneLayer layer("llama-3.1-8b");
  const Step step = head_forward(layer.context());
  CHECK(names(step) == std::vector<std::string>{"final norm", "logits", "cross entropy"});
  const Gemm& gemm = std::get<Gemm>(step[1].work);
  CHECK(gemm.m == 4096);
  CHECK(gemm.n == 128256);
  CHECK(gemm.k == 4096);
}
