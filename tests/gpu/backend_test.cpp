// Every case that the CUDA backend offers, checked on the GPU at hand: odd sizes, one expert, many, rows of padding.
#include <catch2/catch.hpp>
#include <iostream>

#include "gpu/device_at_hand.hpp"

namespace moeline {
namespace {

Case product(const char* op, const char* kind, const char* dtype, double groups, double m, double n, double k) {
  Case wanted{.op = op, .library = "", .kind = kind, .dtype = dtype, .shape = {{"m", m}, {"n", n}, {"k", k}}};
  if (wanted.op == "grouped_gemm") wanted.shape["groups"] = groups;
  return wanted;
}

// All libraries that offer it, three seeds each: an error that comes and goes is a race. What the vendor's library has
// no algorithm for is said, and no failure of ours.
void check_everywhere(Case wanted) {
  Backend& backend = backend_at_hand();
  for (const std::string& library : backend.libraries(wanted)) {
    wanted.library = library;
    for (wanted.seed = 1; wanted.seed <= 3; ++wanted.seed) {
      INFO(wanted.op << " " << wanted.kind << " " << wanted.dtype << " by " << library << ", seed " << wanted.seed);
      std::unique_ptr<Run> run;
      try {
        run = backend.prepare(wanted);
      } catch (const HardwareError& error) {
        if (library != "cublaslt") throw;
        WARN(error.what());
        break;
      }
      const Check check = run->check();
      INFO("error " << check.error << " of " << check.tolerance << ", " << check.problem);
      CHECK(check.passed);
    }
  }
}

}  // namespace

TEST_CASE("products agree with fp64 for every number of rows, in every format and library", "[gpu]") {
  const char* const dtype = GENERATE("bf16", "fp8", "fp8_block", "mxfp8");
  const char* const kind = GENERATE("", "dgrad", "wgrad");
  const double rows = GENERATE(1, 127, 128, 129, 520);
  const bool sums_rows = std::string(kind) == "wgrad";
  check_everywhere(product("grouped_gemm", kind, dtype, 3, sums_rows ? 384 : rows, 640, sums_rows ? rows : 384));
}

TEST_CASE("products of one expert, of many, and of sizes that fill the machine agree with fp64", "[gpu]") {
  const char* const dtype = GENERATE("bf16", "mxfp8");
  check_everywhere(product("gemm", "", dtype, 1, 512, 1024, 2048));
  check_everywhere(product("grouped_gemm", "", dtype, 64, 40, 256, 512));
  check_everywhere(product("grouped_gemm", "wgrad", dtype, 40, 256, 256, 100));
  check_everywhere(product("grouped_gemm", "", dtype, 8, 2048, 2048, 4096));
}

TEST_CASE("quantisers give the codec's bytes", "[gpu]") {
  const char* const kind = GENERATE("row", "column", "both", "gather", "swiglu", "swiglu_backward");
  for (const auto& [rows, columns] : {std::pair{128.0, 256.0}, {384.0, 768.0}, {4096.0, 7168.0}})
    check_everywhere({.op = "quantise",
                      .library = "",
                      .kind = kind,
                      .dtype = "mxfp8",
                      .shape = {{"rows", rows}, {"columns", columns}}});
}

TEST_CASE("passes over memory write what they should, and nothing else", "[gpu]") {
  const char* const kind = GENERATE("copy", "read", "write", "triad", "copy_engine", "to_host", "from_host");
  for (const double bytes : {48.0, 98304.0, 1e6 + 16, 2e8})
    check_everywhere({.op = "memory_pass", .library = "", .kind = kind, .dtype = "int8", .shape = {{"bytes", bytes}}});
  check_everywhere({.op = "memory_pass",
                    .library = "",
                    .kind = "gather",
                    .dtype = "bf16",
                    .shape = {{"bytes", 1e7}, {"row_bytes", 7168}}});
}

TEST_CASE("launches and ceilings run, and their times make sense", "[gpu]") {
  for (const auto& [op, kind, dtype] : {std::tuple{"launch", "empty_kernel", ""},
                                        {"launch", "graph_node", ""},
                                        {"peak", "fma", "fp32"},
                                        {"peak", "tensor", "bf16"},
                                        {"peak", "tensor", "fp8"}}) {
    Case wanted{.op = op, .library = "moeline", .kind = kind, .dtype = dtype, .shape = {}};
    if (backend_at_hand().libraries(wanted).empty()) continue;
    const auto run = backend_at_hand().prepare(wanted);
    CHECK(run->check().passed);
    const Sample sample = run->sample(Caches::hot);
    INFO(op << " " << kind << " " << dtype << " " << sample.seconds);
    CHECK(sample.seconds > 1e-8);
    CHECK(sample.seconds < 0.1);
  }
}

TEST_CASE("exchanges deliver every byte to its rank, even and routed", "[gpu]") {
  for (const double ranks : {1.0, 2.0, 4.0, 8.0}) {
    for (const double bytes : {1024.0, 1e6, 6.4e7})
      check_everywhere({.op = "all_to_all",
                        .library = "",
                        .kind = "",
                        .dtype = "int8",
                        .shape = {{"ranks", ranks}, {"bytes", bytes}}});
    check_everywhere({.op = "all_to_all",
                      .library = "",
                      .kind = "moe",
                      .dtype = "int8",
                      .shape = {{"ranks", ranks},
                                {"tokens", 333},
                                {"experts", 64},
                                {"top_k", 8},
                                {"row_bytes", 7392},
                                {"exponent", 1.2}}});
  }
}

}  // namespace moeline
