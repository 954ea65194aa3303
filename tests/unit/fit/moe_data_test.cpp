#include "fit/moe_data.hpp"

#include <fmt/format.h>

#include <catch2/catch.hpp>

#include "fit/moe_counts.hpp"

using namespace moeline;
using Catch::WithinRel;

namespace {

constexpr const char* kLayers =
    "gpu,framework,fw_version,kernel,dtype,num_tokens,hidden_size,inter_size,topk,num_experts,tp,ep,distribution,"
    "latency_us\n";

std::vector<double> starts(const FamilyData& family) {
  std::vector<double> values;
  for (const Parameter& p : family.parameters) values.push_back(p.start);
  return values;
}

}  // namespace

TEST_CASE("expert layers become families by kernel and format, grouped by model shape", "[unit]") {
  std::string text = kLayers;
  for (int i = 0; i < 60; ++i) {
    text += fmt::format("h200_sxm,trtllm,1,deepgemm,fp8_block,{},{},1024,8,64,1,2,{},100\n", 1 << (i % 10),
                        1024 * (1 + i % 3), i % 2 == 0 ? "balanced" : "power_law_1.2");
    text += fmt::format("b200_sxm,vllm,1,some_triton,w4a8_mxfp4_mxfp8,{},2048,1024,8,64,1,{},balanced,100\n",
                        1 << (i % 10), 1 << (i % 4));
  }
  text += "h200_sxm,trtllm,1,deepgemm,fp8_block,16,1024,1024,8,64,1,2,balanced,\n";
  text += "h200_sxm,trtllm,1,deepgemm,fp8_block,16,1024,1024,8,64,1,2,zipf,100\n";
  const Csv csv = Csv::parse(text, "test");
  REQUIRE(is_moe_op_csv(csv));
  const std::vector<FamilyData> families = moe_op_families(csv);
  REQUIRE(families.size() == 2);
  CHECK(families[0].key == FamilyKey{"b200-sxm", "moe_op", "some_triton", "w4a8_mxfp4_mxfp8"});
  CHECK(families[0].parameters.back().name == "wide");
  CHECK(*std::max_element(families[0].group.begin(), families[0].group.end()) == 3);  // one shape: its four cuts
  CHECK(families[1].key == FamilyKey{"h200-sxm", "moe_op", "deepgemm", "fp8_block"});
  CHECK(*std::max_element(families[1].group.begin(), families[1].group.end()) == 2);
  CHECK(families[1].skipped.at("missing value") == 1);
  CHECK(families[1].skipped.at("unknown distribution") == 1);
  for (const FamilyData& family : families) {
    CHECK(family.size.size() == 60);
    CHECK(family.coordinates[0].size() == family.surface.axes.size());
    const double us = family.observations.predicted(starts(family), 0);
    CHECK(us > 10);
    CHECK(us < 1000);
  }
}

TEST_CASE("a prefill of DeepEP reads experts in blocks of 128 rows, a decode only what arrived", "[unit]") {
  MoeCounts counts;
  const TokenBatch batch{256, 256, 8, 16};  // 16 experts a rank, 256 x 8 / 256 = 8 rows each
  const MoeLoad& masked = counts.of(batch, 0, RoutedAs::masked);
  CHECK(masked.rows == 128);
  CHECK(masked.hit == 16);
  // The balanced prefill is not padded: all 128 rows share one block, and one expert is read.
  const MoeLoad& received = counts.of(batch, 0, RoutedAs::received);
  CHECK(received.rows == 128);
  CHECK(received.hit == 1);
  CHECK(counts.of(batch, 0.6, RoutedAs::received).rows >= 128 * counts.of(batch, 0.6, RoutedAs::received).hit * 0.999);
}

TEST_CASE("one collector runs the other ranks' choices on the first expert", "[unit]") {
  MoeCounts counts;
  // Of 16 tokens, 8 touch experts 0 and 1 with one choice each: the other 8 choices land on expert 0 as well.
  const MoeLoad& folded = counts.of({16, 8, 2, 4}, 0, RoutedAs::folded);
  CHECK(folded.tokens == 8);
  CHECK(folded.rows == 16);
  CHECK(counts.of({16, 8, 2, 4}, 0, RoutedAs::wished).rows == 8);
}
