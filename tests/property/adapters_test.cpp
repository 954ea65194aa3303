// Fine-tuning with low-rank adapters: what is frozen costs neither gradients nor optimiser, and what is merged costs memory.
#include "error_of.hpp"
#include "scenarios.hpp"

using namespace moeline;
using Catch::Matchers::WithinRel;

namespace {

Trial tuned(const std::string& lora) {
  Json workload{{"kind", "train"}, {"sequence", 2048}, {"global_batch", 4}, {"micro_batch", 1}, {"recompute", "full"}};
  if (!lora.empty()) workload["lora"] = parse_json(lora, "lora");
  return Trial(Json{{"model", "qwen3-30b-a3b"},
                    {"hardware", "b300-sxm"},
                    {"devices", 1},
                    {"parallelism", {{"ep", 1}}},
                    {"workload", workload}});
}

}  // namespace

TEST_CASE("adapters alone have gradients and optimiser states") {
  const Trial split = tuned(R"({"rank": 16, "targets": "attention"})");
  const Footprint& memory = split.train().memory;
  // Attention of a layer: q 2048 -> 4096, k and v 2048 -> 512 each, o 4096 -> 2048: 16 (6144 + 2 x 2560 + 6144); 48 layers
  const double adapters = 48 * 16.0 * (6144 + 2 * 2560 + 6144);
  CHECK_THAT(memory.of("gradients").in(byte), WithinRel(4 * adapters, 1e-12));
  CHECK_THAT(memory.of("optimizer").in(byte), WithinRel(12 * adapters, 1e-12));
  CHECK_THAT(memory.of("weights").in(byte), WithinRel(2 * (30532122624 + adapters), 1e-9));
}

TEST_CASE("frozen weights may rest in fewer bits and are expanded in front of every product") {
  const Trial bf16 = tuned(R"({"rank": 16})"), packed = tuned(R"({"rank": 16, "base": "mxfp4"})");
  CHECK(packed.train().memory.of("weights") < 0.35 * bf16.train().memory.of("weights"));
  CHECK(packed.exposed("dequantise") > Seconds{});
  CHECK(packed.seconds() > bf16.seconds());
}

TEST_CASE("merging adapters into every expert takes more time and memory than applying them to the rows") {
  const Trial split = tuned(R"({"rank": 16, "adapters": "split"})"), merged = tuned(R"({"rank": 16, "adapters": "merged"})");
  CHECK(merged.exposed("adapters") > split.exposed("adapters"));
  CHECK(merged.seconds() > split.seconds());
  // W + A B and its gradient of one layer, 2 x 3 x 128 x 2048 x 768 x 2 B, beside rows and what else is recomputed
  const double weights = 2.0 * 3 * 128 * 2048 * 768 * 2, workspace = merged.train().memory.of("workspace").in(byte);
  CHECK(workspace > weights);
  CHECK(workspace < 1.2 * weights);
  CHECK(split.train().memory.of("workspace") < merged.train().memory.of("workspace"));
}

TEST_CASE("adapters cost less than training everything, and more with their rank") {
  const Trial small = tuned(R"({"rank": 8})"), large = tuned(R"({"rank": 128})");
  CHECK(small.seconds() < large.seconds());
  CHECK(small.train().memory.total() < large.train().memory.total());
  CHECK_FALSE(tuned("").runs());  // 30.5 billion parameters with gradients and moments: 18 B each
}

TEST_CASE("adapters are read strictly") {
  CHECK_THAT(error_of([] { tuned(R"({"rnk": 8})"); }), Catch::Contains("unknown key, did you mean \"rank\"?"));
  CHECK_THAT(error_of([] { tuned(R"({"adapters": "splitt"})"); }), Catch::Contains("did you mean \"split\""));
}
