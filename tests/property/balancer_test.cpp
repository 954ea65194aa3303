// Do balancers pay for what they do? Their bytes, their memory and their time, each by hand.
#include <fmt/format.h>

#include "scenarios.hpp"

using namespace moeline;
using Catch::WithinRel;

namespace {

Trial balanced_by(const std::string& balancer, std::initializer_list<std::string> more = {}) {
  return small().with({"/routing/popularity=zipf", "/routing/alpha=1", "/routing/balancer=" + balancer}).with(more);
}

double gigabytes(Bytes bytes) { return bytes.in(gigabyte); }

constexpr double kExpert = 3.0 * 4096 * 14336;  // weights of one expert of Mixtral; small() has 8 layers

}  // namespace

TEST_CASE("EPLB moves its slots with every plan, its copies and their gradients in every step", "[property]") {
  // Plans: of one slot a rank 7 in 8 come from elsewhere, in bf16, once in 3000 steps; all in 8 layers.
  const double plans = 8 * kExpert * 2 * 7 / 8 / 3000;
  CHECK_THAT(balanced_by("eplb").bytes("balancer").in(byte), WithinRel(plans, 1e-6));
  // 8 redundant over 8 ranks: one copy each, bf16 there and fp32 gradients back; and twice the slots for a plan to move.
  const Trial copies = balanced_by("eplb", {"/routing/redundant_experts=8"});
  CHECK_THAT(copies.bytes("balancer").in(byte), WithinRel(8 * kExpert * (2 + 4) + 2 * plans, 1e-6));
}

TEST_CASE("copies of EPLB lie in memory for every layer, weights and gradients", "[property]") {
  const auto part = [](const Trial& trial, const char* name) { return gigabytes(trial.train().memory.of(name)); };
  const Trial none = balanced_by("eplb"), one = balanced_by("eplb", {"/routing/redundant_experts=8"});
  CHECK_THAT(part(one, "weights") - part(none, "weights"), WithinRel(8 * kExpert * 2 / 1e9, 1e-6));
  CHECK_THAT(part(one, "gradients") - part(none, "gradients"), WithinRel(8 * kExpert * 4 / 1e9, 1e-6));
}

TEST_CASE("the fullest layer makes the spike of the workspace, the mean of layers the activations that stay", "[property]") {
  const Trial drawn = small().with({"/routing/popularity=dirichlet", "/routing/alpha=1"});
  const MoeFfn& moe = std::get<MoeFfn>(drawn.scenario().model.kinds[0].ffn);
  const double mean = expert_load(moe, drawn.scenario().routing, 8 * 4096, 8).overload;
  const double most = drawn_overloads(moe, drawn.scenario().routing, 8).back();
  const auto even = [](double overload) {
    return small().with({"/routing/popularity=overload", fmt::format("/routing/alpha={}", overload)}).train().memory;
  };
  CHECK(most > 1.2 * mean);
  CHECK(drawn.train().memory.of("activations") == even(mean).of("activations"));
  CHECK(drawn.train().memory.of("workspace") > even(1.1 * mean).of("workspace"));
  CHECK(drawn.train().memory.of("workspace") >= even(most).of("workspace"));
}

TEST_CASE("quantile balancing reads its scores five times a micro-batch and keeps them once", "[property]") {
  const Trial none = balanced_by("none"), quantile = balanced_by("quantile");
  // 8 layers, 4 micro-batches of 4,096 tokens by 8 experts; and 8 prices a layer, reduced over 16 ranks once a step.
  const double scores = 4.0 * 4096 * 8;
  CHECK_THAT(quantile.bytes("balancer").in(byte), WithinRel(8 * 4 * 5 * scores, 1e-3));
  const Bytes kept = quantile.train().memory.of("workspace") - none.train().memory.of("workspace");
  CHECK(kept < scores * byte);  // the rows of a fuller rank weigh more than the scores do
  CHECK(quantile.exposed("balancer") > Seconds{});
  CHECK(none.exposed("balancer") == Seconds{});
}

TEST_CASE("a balancer that evens out a skewed router is worth its own time", "[property]") {
  for (const char* balancer : {"aux_loss", "loss_free", "quantile"}) {
    INFO(balancer);
    CHECK(balanced_by(balancer).seconds() < balanced_by("none").seconds());
  }
}
