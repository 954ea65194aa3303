#include "net/framework_all_reduce.hpp"

#include <catch2/catch.hpp>

using namespace moeline;
using Catch::WithinRel;

namespace {

const BytesPerSecond kLink = 450 * gigabyte_per_second;

FrameworkAllReduceFit fit() {
  FrameworkAllReduceFit fit;
  fit.one_launch = 2 * microsecond;
  fit.two_launch = 6 * microsecond;
  fit.switch_launch = 9 * microsecond;
  fit.hop = 0.1 * microsecond;
  fit.one_link = fit.two_link = 0.5;
  fit.switch_link = 0.4;
  return fit;
}

double us(AllReduceLibrary library, Bytes bytes, double ranks, bool blackwell = false) {
  return framework_all_reduce_terms({library, bytes, ranks, kLink, blackwell}, fit()).time.in(microsecond);
}

}  // namespace

TEST_CASE("a framework's all-reduce of one rank costs nothing", "[unit]") {
  CHECK(us(AllReduceLibrary::sglang, 1 * megabyte, 1) == 0);
}

TEST_CASE("small messages go in one shot, larger ones in two", "[unit]") {
  // 90 kB, 8 ranks: one shot 2 + 0.7 + 90e3 x 7/225e9 = 2.7 + 2.8; two shots 6 + 0.7 + 90e3 x 1.75/225e9 = 6.7 + 0.7
  CHECK_THAT(us(AllReduceLibrary::sglang, 90 * kilobyte, 8), WithinRel(5.5, 1e-9));
  // 900 kB: one shot 2.7 + 28; two shots 6.7 + 7
  CHECK_THAT(us(AllReduceLibrary::sglang, 900 * kilobyte, 8), WithinRel(13.7, 1e-9));
  // Two ranks: both move S; the second launch never pays.
  CHECK_THAT(us(AllReduceLibrary::trtllm, 4.5 * megabyte, 2), WithinRel(2.1 + 20, 1e-9));
}

TEST_CASE("vLLM picks its kernel by size even where another would be quicker", "[unit]") {
  // 90 kB x 10 on 4 ranks is above 512 KiB: two shots, 6 + 0.3 + 900e3 x 1.5/225e9 = 6.3 + 6; one shot would take 2.3 +
  // 12
  CHECK_THAT(us(AllReduceLibrary::vllm, 900 * kilobyte, 4), WithinRel(12.3, 1e-9));
  // 8 ranks above 256 KiB on Hopper: in the switch, 9 + 0.7 + 900e3 x 9/8/180e9 = 9.7 + 5.625
  CHECK_THAT(us(AllReduceLibrary::vllm, 900 * kilobyte, 8), WithinRel(15.325, 1e-9));
  // On Blackwell the switch takes over at 1 MiB: two shots until then, 6.7 + 900e3 x 1.75/225e9
  CHECK_THAT(us(AllReduceLibrary::vllm, 900 * kilobyte, 8, true), WithinRel(13.7, 1e-9));
}

TEST_CASE("with two ranks the walk over the buffer hides the link", "[unit]") {
  FrameworkAllReduceFit slow = fit();
  slow.walk = 1 * second / (100 * gigabyte);
  const FrameworkAllReduceTerms terms =
      framework_all_reduce_terms({AllReduceLibrary::vllm, 1 * megabyte, 2, kLink}, slow);
  CHECK_THAT(terms.transfer.in(microsecond), WithinRel(10.0, 1e-9));  // 1 MB at 100 GB/s, not at 225
}

TEST_CASE("with a neutral fit a framework's all-reduce is the link alone", "[unit]") {
  const OpCost bound =
      cost(FrameworkAllReduce{AllReduceLibrary::sglang, 4.5 * megabyte, 4, kLink}, FrameworkAllReduceFit{});
  CHECK_THAT(bound.time.in(microsecond), WithinRel(15.0, 1e-9));  // 4.5 MB x 1.5 / 450 GB/s
  CHECK(bound.source == Source::bound);
  CHECK(bound.bound_by == "NVLink");
}

TEST_CASE("larger messages than a framework takes are NCCL's", "[unit]") {
  CHECK(largest({AllReduceLibrary::trtllm, {}, 2, kLink}) == 16 * megabyte);
  CHECK(largest({AllReduceLibrary::vllm, {}, 8, kLink, true}) == 128 * mebibyte);
  CHECK(largest({AllReduceLibrary::vllm, {}, 2, kLink, true}) == 8 * mebibyte);
}
