// Do model FLOPs per token agree with published throughput pairs, rate over tokens per second?
#include <catch2/catch.hpp>
#include <string>

#include "ops/decoder.hpp"
#include "spec/catalogue.hpp"

using namespace moeline;
using Catch::WithinRel;

namespace {

double per_token(const std::string& name, double sequence, std::int64_t mtp) {
  const Document document = find_model(name, name);
  return model_flops_per_token(read_model(document.json, document.origin, name), sequence, mtp).in(flop);
}

}  // namespace

TEST_CASE("llama-3.1-405b at 8192 takes the FLOPs per token that published rates imply", "[anchors]") {
  // Megatron-Bridge performance summary: 2646 TFLOP/s per GPU at 1048 tokens/s per GPU.
  REQUIRE_THAT(per_token("llama-3.1-405b", 8192, 0), WithinRel(2646e12 / 1048, 1e-3));
}

TEST_CASE("llama-3.1-405b adds up from its shapes", "[anchors]") {
  const double h = 16384, kv = 8 * 128, w = 53248, v = 128256, s = 8192;
  const double layer = 2 * h * h + 2 * h * kv + h * s + 3 * h * w;  // q o, k v, causal scores and values, gate up down
  REQUIRE_THAT(per_token("llama-3.1-405b", s, 0), WithinRel(6 * (126 * layer + h * v), 1e-12));
}

TEST_CASE("deepseek-v3 at 4096 adds up from its shapes, with and without its MTP module", "[anchors]") {
  const double h = 7168, heads = 128, s = 4096;
  const double query = h * 1536 + 1536 * heads * (128 + 64), key_value = h * (512 + 64) + 512 * heads * (128 + 128);
  const double core = heads * s / 2 * (128 + 64 + 128), output = heads * 128 * h;
  const double attention = query + key_value + core + output;
  const double dense = attention + 3 * h * 18432, moe = attention + 3 * h * 2048 * (8 + 1);
  const double head = h * 129280;
  REQUIRE_THAT(per_token("deepseek-v3", s, 0), WithinRel(6 * (3 * dense + 58 * moe + head), 1e-12));
  REQUIRE_THAT(per_token("deepseek-v3", s, 1), WithinRel(6 * (3 * dense + 59 * moe + 2 * h * h + 2 * head), 1e-12));
  // About 6 x 37.6 billion active parameters without the embedding, plus attention's share.
  REQUIRE_THAT(per_token("deepseek-v3", s, 0), WithinRel(6 * (36.6e9 + 61 * core), 0.01));
}

TEST_CASE("mixtral-8x7b at 4096 adds up from its shapes", "[anchors]") {
  const double h = 4096, layer = 2 * h * h + 2 * h * 1024 + h * 4096 + 2 * 3 * h * 14336;
  REQUIRE_THAT(per_token("mixtral-8x7b", 4096, 0), WithinRel(6 * (32 * layer + h * 32000), 1e-12));
}
