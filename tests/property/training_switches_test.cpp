// Switches of a training step, each against its neighbour: what they save and what they cost.
#include <catch2/catch.hpp>

#include "scenarios.hpp"

using namespace moeline;
using Catch::WithinRel;

namespace {

Trial dense() {
  return Trial(R"({"model": {"base": "llama-3.1-8b", "num_hidden_layers": 8}, "hardware": "h100-sxm", "devices": 16,
      "recipe": "bf16", "parallelism": {"tp": 2, "pp": 1, "zero": 3},
      "workload": {"kind": "train", "sequence": 4096, "global_batch": 64, "micro_batch": 1, "overlap": []}})");
}

double activations(const Trial& trial) { return trial.memory("activations").in(byte); }

}  // namespace

TEST_CASE("recomputing a block of layers lies between none and all", "[property]") {
  const Trial none = dense(), full = none.with({"/workload/recompute=full"});
  const auto block = [&](int layers) {
    return full.with({"/workload/recompute_method=block", "/workload/recompute_layers=" + std::to_string(layers)});
  };
  CHECK(none.seconds() < block(3).seconds());
  CHECK(block(3).seconds() < block(5).seconds());
  REQUIRE_THAT(block(8).seconds(), WithinRel(full.seconds(), 1e-12));
  REQUIRE_THAT(activations(block(8)), WithinRel(activations(full), 1e-12));
  // 3 of 8 layers keep their input, 5 all.
  REQUIRE_THAT(activations(block(3)), WithinRel(3.0 / 8 * activations(full) + 5.0 / 8 * activations(none), 1e-12));
}

TEST_CASE("uniform recomputation keeps one input a group, and takes no longer", "[property]") {
  const Trial each = dense().with({"/workload/recompute=full"}), pairs = each.with({"/workload/recompute_layers=2"});
  REQUIRE_THAT(activations(pairs), WithinRel(activations(each) / 2, 1e-12));
  CHECK(pairs.memory("workspace") >= each.memory("workspace"));  // where logits are not the most that lives at once
  CHECK(pairs.seconds() == each.seconds());
}

TEST_CASE("recomputation op by op saves less than full, and costs less", "[property]") {
  const Trial none = dense(), full = none.with({"/workload/recompute=full"}), op = none.with({"/workload/recompute=per_op"});
  CHECK(activations(full) < activations(op));
  CHECK(activations(op) < activations(none));
  CHECK(none.seconds() < op.seconds());
  CHECK(op.seconds() < full.seconds());
  REQUIRE_THAT(op.train().mfu * op.seconds(), WithinRel(none.train().mfu * none.seconds(), 1e-12));  // never in model FLOPs
}

TEST_CASE("offloaded activations leave the device and pass the host link twice", "[property]") {
  const Trial none = dense(), half = none.with({"/workload/offload_layers=4"});
  REQUIRE_THAT(activations(half), WithinRel(activations(none) / 2, 1e-12));
  // eight micro-batches of half the activations, out and back
  REQUIRE_THAT(half.bytes("activation offload").in(byte), WithinRel(8 * 2 * activations(none) / 2, 1e-12));
}

TEST_CASE("states on the host are neither in memory nor in the optimiser's pass", "[property]") {
  const Trial none = dense(), all = none.with({"/workload/offload_optimizer=1"});
  CHECK(all.memory("optimizer") == Bytes{});
  CHECK(all.exposed("optimizer") < none.exposed("optimizer"));
  CHECK(all.exposed("optimizer offload") > Seconds{});
}

TEST_CASE("hybrid sharding over all ranks is plain sharding; over fewer it holds more and sends less far", "[property]") {
  const Trial plain = dense(), all = plain.with({"/parallelism/shard=8"}), node = plain.with({"/parallelism/shard=4"});
  CHECK(all.seconds() == plain.seconds());
  CHECK(all.train().memory.total() == plain.train().memory.total());
  REQUIRE_THAT(node.memory("optimizer").in(byte), WithinRel(2 * plain.memory("optimizer").in(byte), 1e-12));
  CHECK(node.exposed("parameter gather") < plain.exposed("parameter gather"));  // inside a node of eight
}

TEST_CASE("Muon keeps one moment and multiplies for it", "[property]") {
  const Trial adam = dense(), muon = adam.with({"/workload/optimizer=muon"});
  REQUIRE_THAT(muon.memory("optimizer").in(byte), WithinRel(8.0 / 12 * adam.memory("optimizer").in(byte), 1e-12));
  CHECK(muon.exposed("Newton-Schulz") > Seconds{});
}

TEST_CASE("software of its time is slower and holds more", "[property]") {
  const Trial now = dense();
  for (const char* switched : {"attention=unfused", "fused_passes=false", "sequence_parallel=false"}) {
    INFO(switched);
    const Trial then = now.with({"/workload/" + std::string(switched)});
    CHECK(then.seconds() > now.seconds());
    CHECK(then.train().memory.total() >= now.train().memory.total());
  }
}

TEST_CASE("every extra pass takes time", "[property]") {
  const Trial fused = dense();
  for (const char* pass : {"projections", "log_softmax", "vocabulary_loss", "fsdp_copies", "loss_scaling"}) {
    INFO(pass);
    CHECK(fused.with({"/workload/extra_passes=[\"" + std::string(pass) + "\"]"}).seconds() > fused.seconds());
  }
  // Biases, of a model that has some.
  const Trial gpt(R"({"model": {"model_type": "gpt2", "n_embd": 1024, "n_layer": 2, "n_head": 16, "n_positions": 1024, "vocab_size": 50304},
      "hardware": "a100-sxm", "devices": 1, "recipe": "bf16", "workload": {"kind": "train", "sequence": 1024, "global_batch": 8}})");
  CHECK(gpt.with({"/workload/extra_passes=[\"biases\"]"}).seconds() > gpt.seconds());
}

TEST_CASE("FSDP copies what it gathers and what it reduces", "[property]") {
  // One of two tensor-parallel ranks: 8 layers of 109,060,096, embedding and head 525,336,576, a norm of 4,096. Eight micro-batches,
  // each with two gathers (read and written in bf16, 4 bytes) and a reduction (bf16 to fp32, 6).
  const double parameters = 8 * 109060096.0 + 525336576 + 4096;
  const Trial copied = dense().with({"/workload/extra_passes=[\"fsdp_copies\"]"});
  REQUIRE_THAT(copied.bytes("sharding copies").in(byte), WithinRel(8 * (2 * 4 + 6) * parameters, 1e-12));
}

TEST_CASE("hosts cost nothing where graphs replay", "[property]") {
  // Without a calibration the host's time is not known, and bounds have none.
  CHECK(dense().with({"/workload/cuda_graph=false"}).seconds() == dense().seconds());
}
