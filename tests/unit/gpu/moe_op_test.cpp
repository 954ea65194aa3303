#include "gpu/moe_op.hpp"

#include <catch2/catch.hpp>

#include "routing/sampler.hpp"
#include "scenarios.hpp"

using namespace moeline;
using Catch::WithinRel;

namespace {

Gpu h100() { return std::get<Gpu>(small().scenario().cluster.device); }
constexpr double kHbm = 3.35e12, kBf16 = 989.4e12;

constexpr MoeOp kLayer{.hidden = 4096, .inter = 1024};

// One expert's rows for each entry; every token has one choice.
MoeLoad load(const Loads& loads) {
  double rows = 0;
  for (const std::int64_t count : loads) rows += static_cast<double>(count);
  return moe_load(loads, rows, rows);
}
MoeOpTerms terms(const MoeLoad& l, const MoeOpFit& fit = {}) { return moe_op_terms(kLayer, l, h100(), fit); }

// Values as fitted, rounded.
MoeOpFit typical() {
  MoeOpFit fit;
  fit.launch = 20 * microsecond;
  fit.tensor = 0.6;
  fit.memory = 0.9;
  fit.k_step = 150 * nanosecond;
  fit.epilogue = 1 * second / (100 * gigabyte);
  fit.leak = 0.5;
  fit.least_rows = 32;
  fit.token = fit.row = 20 * nanosecond;
  fit.routing = 5 * microsecond;
  fit.expert = 250 * nanosecond;
  return fit;
}

}  // namespace

TEST_CASE("one token takes as long as reading its expert", "[unit]") {
  // Gated: up 2 x 1024 and down 1024 columns of 4096, bf16; a row in and out of both products.
  const double weights = 3 * 1024.0 * 4096 * 2, rows = (4096 + 2048 + 1024 + 4096) * 2.0;
  // Permute 4096, activation 2 x 1024 + 1024, reduction 4096, all bf16; the token in and out.
  const double elementwise = (4096 + 3 * 1024 + 4096) * 2.0 + 2 * 4096 * 2;
  const MoeOpTerms t = terms(load({1}));
  REQUIRE_THAT(t.time.in(second), WithinRel((weights + rows + elementwise) / kHbm, 1e-9));
  REQUIRE_THAT(weights_hit(kLayer, load({1})).in(byte), WithinRel(weights, 1e-12));
  CHECK(t.up.tile_m == 8);
}

TEST_CASE("many rows run at the peak", "[unit]") {
  const MoeOpTerms t = terms(load({65536}));
  const double flops = 2 * 65536.0 * 3 * 1024 * 4096;
  REQUIRE_THAT(t.flops.in(flop), WithinRel(flops, 1e-12));
  REQUIRE_THAT((t.up.time + t.down.time).in(second), WithinRel(flops / kBf16, 0.01));  // 124 waves, the last not full
}

TEST_CASE("an idle expert moves no weights and computes nothing", "[unit]") {
  CHECK(terms(load({5, 0, 0})).time == terms(load({5})).time);
  // What it does cost is its entry in the tables.
  const Seconds added = terms(load({5, 0, 0}), typical()).time - terms(load({5}), typical()).time;
  REQUIRE_THAT(added.in(nanosecond), WithinRel(500.0, 1e-6));
}

TEST_CASE("rows spread over more experts cost more", "[unit]") {
  for (const MoeOpFit& fit : {MoeOpFit{}, typical()}) {
    CHECK(terms(load({64, 64, 64, 64}), fit).time > terms(load({128, 128, 0, 0}), fit).time);
    CHECK(terms(load({128, 128, 0, 0}), fit).time > terms(load({256, 0, 0, 0}), fit).time);
  }
}

TEST_CASE("more tokens never make an expert layer faster", "[unit]") {
  for (const MoeOpFit& fit : {MoeOpFit{}, typical()}) {
    Seconds before;
    for (std::int64_t tokens = 1; tokens <= 65536; tokens *= 2) {
      const Seconds now = terms(load(balanced_loads({tokens, 64, 1, 1})), fit).time;
      CHECK(now >= before);
      before = now;
    }
  }
}

TEST_CASE("rows that other ranks compute still pass through an expert map's activation", "[unit]") {
  MoeLoad mapped = load({64, 64});
  mapped.element_rows = 1024;
  CHECK(terms(mapped).elementwise > terms(load({64, 64})).elementwise);
  CHECK(terms(mapped).up.time == terms(load({64, 64})).up.time);
}
