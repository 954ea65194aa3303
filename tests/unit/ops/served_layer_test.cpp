#include "ops/serving.hpp"

#include <algorithm>
#include <catch2/catch.hpp>

#include "spec/catalogue.hpp"

using namespace moeline;
using Catch::WithinRel;

namespace {

struct Asked {
  explicit Asked(const char* name, ServeLayout cut) : layout(cut) {
    const Document document = find_model(name, "test");
    model = read_model(document.json, document.origin, document.name);
    routing.popularity = Popularity::uniform;
  }
  ServingContext context() const { return {model, layout, formats, recipe, routing, Stack::vllm, transport, transport}; }
  Step layer(const Iteration& it) const { return served_layer(context(), model.layer(model.layers.size() - 1), it); }

  ModelSpec model;
  ServeLayout layout;
  ServedFormats formats;
  Recipe recipe;
  Routing routing;
  ExpertTransport transport = ExpertTransport::allreduce;
};

bool has(const Step& step, std::string_view name) {
  return std::any_of(step.begin(), step.end(), [&](const Op& op) { return op.name == name; });
}

template <class W>
W work(const Step& step) {
  for (const Op& op : step) {
    if (const W* found = std::get_if<W>(&op.work)) return *found;
  }
  FAIL("no such op");
  throw 0;
}

}  // namespace

TEST_CASE("latent attention is absorbed for decoding and expanded for prompts", "[unit]") {
  const Asked v3("deepseek-v3", {.tp = 8, .etp = 8});
  const Step decode = v3.layer({.decoding = 64, .context = 1000});
  CHECK(has(decode, "absorb keys"));
  CHECK_FALSE(has(decode, "key-value up"));
  const DecodeShape& shape = work<DecodeAttention>(decode).shape;
  CHECK(shape.latent);
  CHECK(shape.heads == 16);    // 128 over 8 ranks
  CHECK(shape.qk_dim == 576);  // 512 latent + 64 rotary
  const Step prompt = v3.layer({.prompts = 2, .prompt = 512, .finishing = 2});
  CHECK(has(prompt, "key-value up"));
  CHECK_FALSE(has(prompt, "absorb keys"));
  CHECK(work<AttentionCore>(prompt).qk_dim == 192);
}

TEST_CASE("one rank talks to nobody", "[unit]") {
  for (const Op& op : Asked("mixtral-8x7b", {}).layer({.decoding = 8, .context = 100})) CHECK(op.lane == Lane::compute);
}

TEST_CASE("a sliding window caps what decoding reads", "[unit]") {
  const Asked oss("gpt-oss-20b", {});
  double shortest = 1e9, longest = 0;
  for (const LayerKind& kind : oss.model.kinds) {
    const double keys = work<DecodeAttention>(served_layer(oss.context(), kind, {.decoding = 1, .context = 4095})).shape.keys;
    shortest = std::min(shortest, keys);
    longest = std::max(longest, keys);
  }
  CHECK(shortest == 128);
  CHECK(longest == 4096);
}

TEST_CASE("a chunk sees what lies before it and half of itself", "[unit]") {
  const AttentionCore& core = work<AttentionCore>(Asked("llama-3.1-8b", {}).layer({.prompts = 1, .prompt = 1000, .before = 3000}));
  CHECK_FALSE(core.causal);
  CHECK(core.queries * core.keys == 1000 * 3500);  // the sum over its tokens of what each sees
}

TEST_CASE("linear attention decodes on its state, whatever came before", "[unit]") {
  const Asked next("qwen3-next-80b-a3b", {});
  const auto linear = std::find_if(next.model.kinds.begin(), next.model.kinds.end(),
                                   [](const LayerKind& kind) { return std::holds_alternative<GatedDeltaNet>(kind.attention); });
  const Step near = served_layer(next.context(), *linear, {.decoding = 4, .context = 10});
  const Step far = served_layer(next.context(), *linear, {.decoding = 4, .context = 1e6});
  CHECK(has(near, "state update"));
  CHECK(near.size() == far.size());
}

TEST_CASE("experts hit by a few tokens are what chance says", "[unit]") {
  MoeFfn moe{.experts = 256, .top_k = 8};
  Routing uniform;
  uniform.popularity = Popularity::uniform;
  // 256 (1 - (1 - 1/32)^4) = 30.54 experts of 32 rows
  const MoeLoad four = served_load(moe, uniform, {}, 4);
  CHECK_THAT(four.hit, WithinRel(30.54, 1e-3));
  CHECK(four.rows == 32);
  CHECK_THAT(four.tiles[0], WithinRel(four.hit, 0.05));  // hardly any has more than 8 rows
  // 256 rows each: 32 tiles of 8, and half a tile more on average
  const MoeLoad many = served_load(moe, uniform, {}, 8192);
  CHECK_THAT(many.tiles[0], WithinRel(256 * 32.5, 0.01));
  Routing even;
  CHECK(served_load(moe, even, {}, 8192).tiles[0] == 256 * 32);
}

TEST_CASE("data-parallel attention gathers tokens of all its groups for the experts", "[unit]") {
  Asked v3("deepseek-v3", {.tp = 1, .dp = 8, .ep = 8});
  v3.transport = ExpertTransport::allgather;
  const Step step = v3.layer({.decoding = 16, .context = 1000});
  CHECK(has(step, "all-gather"));
  CHECK(has(step, "reduce-scatter"));
  CHECK(work<ServedExperts>(step).load.tokens == 128);  // 8 groups of 16
  v3.transport = ExpertTransport::deepep;
  CHECK(work<LowLatencyExchange>(v3.layer({.decoding = 16, .context = 1000})).tokens == 16);
}
