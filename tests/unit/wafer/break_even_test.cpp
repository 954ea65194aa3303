#include "wafer/break_even.hpp"

#include <catch2/catch.hpp>

using namespace moeline;
using Catch::WithinRel;

namespace {

// CS-2 at half its dense peak, 16-bit weights over 1.2 Tbit/s.
const StreamBalance kHalf{0.5 * 7.5e15 * flop_per_second, 150 * gigabyte_per_second, 2 * byte};

}  // namespace

TEST_CASE("a weight is streamed once and used twice per row", "[unit]") {
  // 1e9 parameters: 2e9 B / 150e9 B/s; 2e9 FLOP a token x 10,000 / 3.75e15
  CHECK_THAT(stream_time(kHalf, 1e9).in(millisecond), WithinRel(2e9 / 150e9 * 1e3, 1e-12));
  CHECK_THAT(compute_time(kHalf, 1e9, 10000).in(millisecond), WithinRel(2e13 / 3.75e15 * 1e3, 1e-12));
}

TEST_CASE("at break-even stream and compute take equally long", "[unit]") {
  const double tokens = break_even_tokens(kHalf, 30e9, 3e9);
  CHECK_THAT(tokens, WithinRel(10 * 2 * 3.75e15 / (2 * 150e9), 1e-12));  // ten times 25,000
  CHECK_THAT(compute_time(kHalf, 3e9, tokens).in(second), WithinRel(stream_time(kHalf, 30e9).in(second), 1e-12));
}

TEST_CASE("an expert's break-even does not know how large the expert is", "[unit]") {
  CHECK_THAT(break_even_rows(kHalf), WithinRel(25000.0, 1e-12));
  CHECK_THAT(break_even_tokens(kHalf, 4.72e6, 4.72e6), WithinRel(25000.0, 1e-12));
}
