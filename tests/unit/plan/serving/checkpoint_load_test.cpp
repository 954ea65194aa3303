#include "plan/serving/load.hpp"

#include <catch2/catch.hpp>

#include "spec/catalogue.hpp"
#include "spec/json.hpp"

using namespace moeline;
using Catch::Matchers::WithinRel;

namespace {

ModelSpec named_model(const std::string& name) {
  const Document document = find_model(name, "test");
  return read_model(document.json, document.origin, document.name);
}
Cluster machine(const std::string& name, std::int64_t devices) {
  const Document document = find_hardware(name, "test");
  Cluster cluster = read_cluster(document.json, document.origin);
  cluster.devices = devices;
  return cluster;
}
LoadAnswer loaded(const ModelSpec& model, const Cluster& cluster, const LoadPlan& plan, std::optional<BytesPerSecond> storage = {}) {
  return std::get<LoadAnswer>(load(model, cluster, plan, storage));
}

}  // namespace

TEST_CASE("a checkpoint weighs what its tensors do") {
  // gpt-oss-120b as published: 65,248,815,744 B with experts in MXFP4, all else in bf16; here every matrix as stored
  CHECK_THAT(checkpoint_bytes(named_model("qwen3-30b-a3b")).in(byte), WithinRel(2.0 * 30532122624, 1e-12));
  // FP8 with one fp32 scale per 128 x 128: 684,531,386,000 elements, of which 41,540,496 scales
  CHECK_THAT(checkpoint_bytes(named_model("deepseek-v3")).in(byte), WithinRel(684531386000.0 - 41540496 + 4.0 * 41540496, 0.01));
}

TEST_CASE("reading ahead hides the shorter of read and copy, and reading in turn adds both") {
  const ModelSpec model = named_model("mixtral-8x7b");
  const Cluster cluster = machine("h100-sxm", 8);
  const LoadAnswer ahead = loaded(model, cluster, {}), turn = loaded(model, cluster, {.ahead = false});
  CHECK_THAT((ahead.time - ahead.pack).in(second), WithinRel(max(ahead.read, ahead.copy).in(second), 1e-12));
  CHECK_THAT((turn.time - turn.pack).in(second), WithinRel((turn.read + turn.copy).in(second), 1e-12));
  CHECK(loaded(model, cluster, {.placement = Placement::tensor_parallel}).time < ahead.time);
}

TEST_CASE("cold files load at the rate of their storage") {
  const ModelSpec model = named_model("mixtral-8x7b");
  const LoadAnswer cold = loaded(model, machine("h100-sxm", 8), {}, 2 * gigabyte_per_second);
  CHECK_THAT(cold.read.in(second), WithinRel(checkpoint_bytes(model).in(gigabyte) / 2, 1e-12));
}

TEST_CASE("loading peaks at a device's share and the largest group of experts that is joined") {
  const ModelSpec model = named_model("mixtral-8x7b");
  // gate and up of eight experts: 2 x 8 x 14336 x 4096 x 2 B
  CHECK_THAT(conversion_group(model).in(byte), WithinRel(2.0 * 8 * 14336 * 4096 * 2, 1e-12));
  const LoadAnswer answer = loaded(model, machine("h100-sxm", 8), {});
  CHECK_THAT(answer.device_peak.in(byte), WithinRel(checkpoint_bytes(model).in(byte) / 8 + conversion_group(model).in(byte), 1e-12));
}

TEST_CASE("an older loader brings the whole checkpoint to every rank, which may not fit") {
  const auto outcome = load(named_model("mixtral-8x22b"), machine("a100-sxm", 8), {Loader::v4, Placement::tensor_parallel, true});
  REQUIRE(std::holds_alternative<Infeasible>(outcome));
  CHECK(std::get<Infeasible>(outcome).reason.starts_with("out of memory: the whole checkpoint"));
  CHECK(std::holds_alternative<Infeasible>(load(named_model("deepseek-v3"), machine("h100-sxm", 1), {})));
}
