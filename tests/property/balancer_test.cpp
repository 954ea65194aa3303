// Do balancers pay for what they do? Their bytes, their memory and their time, each by hand.
#include <fmt/format.h>

#include "routing/placement.hpp"
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

TEST_CASE("dynamic replication fetches copies in forward, and the wider of weights and gradients in backward", "[property]") {
  const Trial dynamic = balanced_by("dynamic");
  const ExpertShares& shares = *dynamic.scenario().routing.drawn.shares;
  double sent = 0, received = 0;
  for (std::size_t i = 0; i < shares.rows(); ++i) {
    const DynamicReplication r = dynamic_replication(shares.row(i), 8);
    sent += double(std::max(r.most_on_rank, r.most_of_rank)) / double(shares.rows());
    received += double(r.most_on_rank) / double(shares.rows());
  }
  // 8 layers, 4 micro-batches: bf16 weights, then fp32 gradients, beside which the next layer's weights come the other way.
  CHECK_THAT(dynamic.bytes("balancer").in(byte), WithinRel(8 * 4 * sent * kExpert * (2 + 4), 1e-6));
  // One layer's copies and their gradients lie in memory, where even ranks have no more rows than balanced ones.
  const Bytes kept = dynamic.train().memory.of("workspace") - small().train().memory.of("workspace");
  CHECK_THAT(kept.in(byte), WithinRel(received * kExpert * (2 + 4), 1e-6));
}

TEST_CASE("copies hide behind what they do not wait for, the more the faster they come", "[property]") {
  const auto hidden = [](const char* bandwidth) {
    const Trial trial = balanced_by("dynamic", {std::string("/hardware/fabric/0/bandwidth=") + bandwidth});
    Seconds all;
    for (const BreakdownRow& row : trial.train().breakdown.rows()) {
      if (row.name == "balancer") all += row.seconds;
    }
    return 1 - trial.exposed("balancer") / all;
  };
  const double slow = hidden("50 GB/s"), as_it_is = hidden("450 GB/s"), fast = hidden("4500 GB/s");
  INFO("hidden " << slow << " " << as_it_is << " " << fast);
  CHECK(slow > 0);
  CHECK(slow < 0.7);
  CHECK(as_it_is > slow);
  CHECK(fast > 0.95);
}

TEST_CASE("an auxiliary loss passes over probabilities twice, a sign rule reduces loads once a step", "[property]") {
  // 8 layers, 4 micro-batches of 4,096 tokens by 8 experts in fp32, forward; and a count an expert and layer, of which a
  // switch among eight that reduces has 9/8 on a line.
  CHECK_THAT(balanced_by("aux_loss").bytes("balancer").in(byte), WithinRel(8 * 4 * 2 * 4.0 * 4096 * 8, 1e-6));
  CHECK_THAT(balanced_by("loss_free").bytes("balancer").in(byte), WithinRel(8 * 8 * 4.0 * 9 / 8, 1e-6));
  CHECK_FALSE(balanced_by("capacity").has("balancer"));  // padding is in the rows
}

TEST_CASE("a balancer that evens out a skewed router is worth its own time", "[property]") {
  for (const char* balancer : {"aux_loss", "loss_free", "quantile"}) {
    INFO(balancer);
    CHECK(balanced_by(balancer).seconds() < balanced_by("none").seconds());
  }
}
