// What scales cost, by hand.
#include "gpu/quantise.hpp"

#include <algorithm>
#include <catch2/catch.hpp>

#include "gpu/megakernel.hpp"
#include "plan/op_formulas.hpp"
#include "reports/anchor_machines.hpp"

namespace moeline {

using Catch::Matchers::WithinRel;

TEST_CASE("rescaling 32 products in software takes as long as the products on Hopper, longer on Blackwell", "[unit]") {
  // 1979 / (60 x 32) and 4500 / (80 x 32): published as 1.03 and 1.76
  CHECK_THAT(rescale_ratio(1979 * teraflop_per_second, 60 * teraflop_per_second, 32), WithinRel(1.0307, 1e-4));
  CHECK_THAT(rescale_ratio(4500 * teraflop_per_second, 80 * teraflop_per_second, 32), WithinRel(1.7578, 1e-4));
}

TEST_CASE("a rescale hides on Hopper while it is the shorter, and never on Blackwell", "[unit]") {
  const AnchorMachine h100("h100-sxm"), b200("b200-sxm");
  const Gpu &hopper = h100.machine().gpu, &blackwell = b200.machine().gpu;
  CHECK(rescaled(hopper, DType::fp8, 128) == 1);
  CHECK_THAT(rescaled(blackwell, DType::fp8, 128), WithinRel(1 + 4500 / (75.0 * 128), 1e-9));
  CHECK(rescaled(hopper, DType::fp8, 8) > 3);
  CHECK(rescaled(hopper, DType::fp8, 0) == 1);
}

TEST_CASE("emulated blocks of 32 on Hopper run no faster than bf16", "[unit]") {
  const AnchorMachine h200("h200-sxm");
  const Gemm bf16{.m = 8192, .n = 8192, .k = 8192};
  Gemm emulated = bf16;
  emulated.operands = DType::mxfp8;
  emulated.software_block = 32;
  CHECK(h200.seconds(emulated) > 0.9 * h200.seconds(bf16));
}

TEST_CASE("block-scaled products are slower than per-tensor ones, and faster than bf16", "[unit]") {
  const AnchorMachine b200("b200-sxm");
  const auto time = [&](DType type) { return b200.seconds(Gemm{.m = 16384, .n = 16384, .k = 16384, .operands = type}); };
  CHECK(time(DType::mxfp8) > time(DType::fp8));
  CHECK(time(DType::mxfp8) < time(DType::bf16));
}

TEST_CASE("rows of experts quantised one by one take a launch each", "[unit]") {
  const AnchorMachine b200("b200-sxm");
  Quantize rows{.elements = 1e8, .to = DType::mxfp8, .copies = 2};
  const double together = b200.seconds(rows);
  rows.launches = 16;
  CHECK_THAT(b200.seconds(rows) - together, WithinRel(15 * b200.machine().calibration.memory.launch.in(second), 1e-6));  // a small difference of large times
  const Formula formula = formula_of(rows, cost(rows, b200.machine()), b200.machine());
  const auto launch = std::ranges::find(formula.terms, "launch", &Term::name);
  REQUIRE(launch != formula.terms.end());
  CHECK(launch->value == 16 * b200.machine().calibration.memory.launch.in(second));  // as explain shows it
}

TEST_CASE("unequal experts pay more padding than equal ones of the same rows, and at most a tile each", "[unit]") {
  const std::vector<double> equal{512, 512, 512, 512}, skewed{1000, 700, 300, 48}, one{2048, 0, 0, 0};
  CHECK(padded_rows(equal, 128) == 2048);
  CHECK(padded_rows(skewed, 128) == 1024 + 768 + 384 + 128);
  CHECK(padded_rows(one, 128) == 2048);  // an expert without rows costs nothing
  CHECK(padded_rows(skewed, 256) > padded_rows(skewed, 128));
  CHECK(padded_rows(skewed, 256) <= 2048 + 4 * 256);
}

TEST_CASE("the penalty of wgrad grows as experts get fewer rows", "[unit]") {
  const AnchorMachine b200("b200-sxm");
  const auto ratio = [&](double rows) {
    GroupedGemm fprop{.groups = 32, .m = rows, .n = 2048, .k = 7168, .operands = DType::mxfp8, .kernels = Kernels::fused};
    GroupedGemm wgrad = fprop;
    wgrad.m = 2048;
    wgrad.n = 7168;
    wgrad.k = rows;
    wgrad.output = DType::fp32;
    wgrad.accumulate = wgrad.wgrad = true;
    return b200.seconds(wgrad) / b200.seconds(fprop);
  };
  CHECK(ratio(8192) > 1.2);
  CHECK(ratio(1024) > ratio(8192));
  CHECK(ratio(256) > ratio(1024));
}

TEST_CASE("a megakernel's minibatch fills the device twice in its narrower product", "[unit]") {
  CHECK_THAT(smallest_minibatch(148, 7168, 2048), WithinRel(2368.0, 1e-12));
  CHECK_THAT(smallest_minibatch(148, 4096, 1024), WithinRel(4736.0, 1e-12));
  CHECK(signalling(Direction::pull) < signalling(Direction::push));
}

}  // namespace moeline
