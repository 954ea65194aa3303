// Is the arithmetic of the op list the arithmetic of the model, however it is cut?
#include <fmt/format.h>
#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "ops/decoder.hpp"
#include "plan/step_cost.hpp"
#include "scenarios.hpp"
#include "spec/catalogue.hpp"

using namespace moeline;
using Catch::WithinRel;

namespace {

struct Count {
  double products = 0, attention = 0, router = 0;  // FLOPs
};

void add(Count& count, const Step& step, const Machine& machine, double times) {
  for (const Op& op : step) {
    const double flops = times * cost(op.work, machine).flops.in(flop);
    const bool core = std::holds_alternative<AttentionCore>(op.work) || std::holds_alternative<StateScan>(op.work);
    (core ? count.attention : op.group == "router" ? count.router : count.products) += flops;
  }
}

struct OneRank {
  ModelSpec model;
  Parallelism parallelism{};
  Recipe recipe{};
  Routing routing{};
  TrainWorkload train{};
  Trial trial = small();
  Calibration neutral{};
  Machine machine{std::get<Gpu>(trial.scenario().cluster.device), trial.scenario().cluster.fabric, neutral};
  double sequences = 1, sequence = 4096;

  explicit OneRank(const std::string& name)
      : model([&] {
          const Document document = find_model(name, name);
          return read_model(document.json, document.origin, name);
        }()) {}
  DecoderContext context() const { return {model, parallelism, recipe, routing, sequences, sequence, train}; }

  Count count(bool forward) const {
    Count sum;
    const DecoderContext c = context();
    for (const int kind : model.layers) {
      const LayerKind& layer = model.kinds[static_cast<std::size_t>(kind)];
      add(sum, forward ? layer_forward(c, layer) : layer_backward(c, layer), machine, 1);
    }
    add(sum, forward ? head_forward(c) : head_backward(c), machine, 1);
    return sum;
  }
};

bool has_scan_or_window(const ModelSpec& model) {
  for (const LayerKind& kind : model.kinds) {
    const GroupedQueryAttention* a = std::get_if<GroupedQueryAttention>(&kind.attention);
    if (std::holds_alternative<GatedDeltaNet>(kind.attention) || (a != nullptr && a->window)) return true;
  }
  return false;
}

}  // namespace

TEST_CASE("products of the op list are those that published utilisation counts", "[property]") {
  for (const CatalogueEntry& entry : model_catalogue()) {
    const std::string name(entry.name);
    const OneRank device(name);
    if (has_scan_or_window(device.model)) continue;
    INFO(name);
    const Count forward = device.count(true), backward = device.count(false);
    // Forward once, backward twice; flash attention recomputes the scores, which published figures do not count.
    const double counted = forward.products + backward.products + 3 * forward.attention;
    REQUIRE_THAT(counted, WithinRel(4096 * model_flops_per_token(device.model, 4096, 0).in(flop), 1e-9));
    REQUIRE_THAT(backward.products, WithinRel(2 * forward.products, 1e-9));
    REQUIRE_THAT(backward.attention, WithinRel(2.5 * forward.attention, 1e-9));
    if (forward.router > 0) REQUIRE_THAT(backward.router, WithinRel(2 * forward.router, 1e-9));
  }
}

TEST_CASE("however the model is cut, all ranks together do the same arithmetic", "[property]") {
  for (const char* name : {"mixtral-8x7b", "deepseek-v3", "qwen3-235b-a22b", "qwen3-next-80b-a3b"}) {
    OneRank device(name);
    const double once = device.count(true).products, again = device.count(false).products,
                 core = device.count(true).attention;
    struct Cut {
      std::int64_t tp, cp, ep, etp;
    };
    for (const Cut cut :
         {Cut{2, 1, 1, 1}, Cut{1, 2, 1, 1}, Cut{2, 2, 4, 1}, Cut{1, 1, 8, 1}, Cut{2, 1, 1, 2}, Cut{2, 1, 4, 2}}) {
      device.parallelism = {.tp = cut.tp, .ep = cut.ep, .etp = cut.etp, .cp = cut.cp};
      const double ranks = static_cast<double>(cut.tp * cut.cp);
      INFO(name << " tp " << cut.tp << " cp " << cut.cp << " ep " << cut.ep << " etp " << cut.etp);
      REQUIRE_THAT(ranks * device.count(true).products, WithinRel(once, 1e-9));
      REQUIRE_THAT(ranks * device.count(false).products, WithinRel(again, 1e-9));
      REQUIRE_THAT(ranks * device.count(true).attention, WithinRel(core, 1e-9));
    }
    device.parallelism = {};
  }
}

TEST_CASE("full recomputation repeats the whole forward, nothing else", "[property]") {
  OneRank device("deepseek-v2-lite");
  const Count forward = device.count(true), plain = device.count(false);
  device.train.full_recompute = true;
  const Count full = device.count(false);
  const double head = 2.0 * 4096 * 2048 * 102400;  // is not recomputed
  REQUIRE_THAT(full.products - plain.products, WithinRel(forward.products - head, 1e-9));
  REQUIRE_THAT(full.attention - plain.attention, WithinRel(forward.attention, 1e-9));
}

TEST_CASE("no selective recomputation repeats more than full recomputation", "[property]") {
  OneRank device("deepseek-v2-lite");
  device.train.full_recompute = true;
  const Count full = device.count(false);
  device.train.full_recompute = false;
  device.train.recompute = {Recompute::core_attn,     Recompute::layernorm, Recompute::moe_act,
                            Recompute::mla_up_proj,   Recompute::mlp,       Recompute::moe,
                            Recompute::shared_experts};
  const Count all = device.count(false);
  CHECK(all.products <= full.products);
  CHECK(all.attention <= full.attention);
}

TEST_CASE("arithmetic is proportional to tokens but for attention, which is quadratic", "[property]") {
  OneRank device("qwen3-30b-a3b");
  const Count once = device.count(true);
  device.sequence = 8192;
  const Count twice = device.count(true);
  REQUIRE_THAT(twice.products / once.products, WithinRel(2.0, 1e-12));
  REQUIRE_THAT(twice.attention / once.attention, WithinRel(4.0, 1e-12));
}

TEST_CASE("a window leaves no more arithmetic than no window", "[property]") {
  for (const char* name : {"gpt-oss-120b", "llama-4-scout", "mixtral-8x7b"}) {
    OneRank device(name);
    ModelSpec open = device.model;
    for (LayerKind& kind : open.kinds) std::get<GroupedQueryAttention>(kind.attention).window.reset();
    for (const double sequence : {2048.0, 4096.0, 8192.0, 10000.0, 16384.0, 131072.0}) {
      INFO(name << " at " << sequence);
      CHECK(model_flops_per_token(device.model, sequence, 0) <= model_flops_per_token(open, sequence, 0));
    }
  }
}

TEST_CASE("utilisation never exceeds what the device can do", "[property]") {
  for (const char* recipe : {"bf16", "mxfp8", "nvfp4"}) {
    const Trial trial = small().with({"hardware=gb200-nvl72", std::string("recipe=") + recipe});
    CHECK(trial.train().mfu < 1);
    CHECK(trial.train().mfu > 0);
  }
}
