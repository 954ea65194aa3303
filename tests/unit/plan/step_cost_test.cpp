#include "plan/step_cost.hpp"

#include <array>
#include <catch2/catch.hpp>

#include "plan/training/parts.hpp"

using namespace moeline;
using Catch::WithinRel;

namespace {

BreakdownRow row(std::string_view name, std::string_view phase, double seconds, double spread = 0,
                 Source source = Source::bound) {
  return {.name = name,
          .phase = phase,
          .seconds = seconds * second,
          .exposed = seconds * second,
          .bytes = 10 * byte,
          .bound_by = "HBM",
          .source = source,
          .spread = spread};
}

}  // namespace

TEST_CASE("rows of one name and phase merge, others stay apart", "[unit]") {
  Breakdown b;
  b.add(row("GEMM", "forward", 1));
  b.add(row("GEMM", "forward", 2), 3);
  b.add(row("GEMM", "backward", 5));
  REQUIRE(b.rows().size() == 2);
  CHECK(b.rows()[0].seconds.in(second) == 7);  // 1 + 3 x 2
  CHECK(b.rows()[0].bytes.in(byte) == 40);
  CHECK(b.exposed().in(second) == 12);
}

TEST_CASE("spreads of one family are weighted by time", "[unit]") {
  Breakdown b;
  b.add(row("GEMM", "forward", 1, 0.1, Source::fitted));
  b.add(row("GEMM", "forward", 3, 0.3, Source::fitted));
  REQUIRE_THAT(b.rows()[0].spread, WithinRel((1 * 0.1 + 3 * 0.3) / 4, 1e-12));
}

TEST_CASE("a total is as sure as its weakest part that takes time", "[unit]") {
  Breakdown b;
  b.add(row("GEMM", "forward", 1, 0, Source::measured));
  CHECK(b.source() == Source::measured);
  b.add(row("free", "forward", 0, 0, Source::assumed));
  CHECK(b.source() == Source::measured);
  b.add(row("norms", "forward", 1, 0, Source::fitted));
  CHECK(b.source() == Source::fitted);
}

TEST_CASE("a row is bound by what binds its longest op", "[unit]") {
  Breakdown b;
  BreakdownRow brief = row("GEMM", "forward", 1), longer = row("GEMM", "forward", 2);
  longer.bound_by = "tensor";
  b.add(brief);
  b.add(longer);
  b.add(brief);
  CHECK(b.rows()[0].bound_by == "tensor");
}

TEST_CASE("hiding takes exposed time from the rows named, in proportion, and never below nothing", "[unit]") {
  Breakdown b;
  b.add(row("dispatch", "forward", 1));
  b.add(row("combine", "forward", 3));
  b.add(row("GEMM", "forward", 10));
  b.hide(kExchanges, 2 * second);
  CHECK(b.rows()[0].exposed.in(second) == 0.5);
  CHECK(b.rows()[1].exposed.in(second) == 1.5);
  CHECK(b.rows()[2].exposed.in(second) == 10);
  CHECK(b.rows()[0].seconds.in(second) == 1);  // it still runs
  b.hide(kExchanges, 100 * second);
  CHECK(b.exposed().in(second) == 10);
  b.hide(std::array<std::string_view, 1>{"nothing of that name"}, 1 * second);
  CHECK(b.exposed().in(second) == 10);
}
