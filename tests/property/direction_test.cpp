// Does every input that should matter move the answer, and the right way?
#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "scenarios.hpp"

using namespace moeline;
using Catch::Contains;
using Catch::WithinRel;

namespace {

// Step times of `base` with `field` at each of `values`, in that order.
std::vector<double> times(const Trial& base, const std::string& field, const std::vector<std::string>& values) {
  std::vector<double> list;
  for (const std::string& value : values) list.push_back(base.with({field + "=" + value}).seconds());
  return list;
}

void check_falls(const std::vector<double>& list) {
  for (std::size_t i = 1; i < list.size(); ++i) {
    INFO("value " << i << ": " << list[i] << " s after " << list[i - 1] << " s");
    CHECK(list[i] < list[i - 1]);
  }
}

void check_rises(const std::vector<double>& list) {
  for (std::size_t i = 1; i < list.size(); ++i) {
    INFO("value " << i << ": " << list[i] << " s after " << list[i - 1] << " s");
    CHECK(list[i] > list[i - 1]);
  }
}

// A tensor- and expert-parallel cut, so that all three kinds of exchange are there.
Trial cut() { return small().with({"/parallelism/tp=2", "/parallelism/pp=2", "/parallelism/ep=4"}); }

}  // namespace

// --- the machine -----------------------------------------------------------------------------------------------------

TEST_CASE("faster memory makes a shorter step", "[property]") {
  check_falls(times(small(), "/hardware/device/hbm_bandwidth", {"1 TB/s", "2 TB/s", "3.35 TB/s", "5 TB/s", "8 TB/s"}));
}

TEST_CASE("faster tensor cores make a shorter step", "[property]") {
  const Trial base = small().with({"/hardware/device/sparse_peak/bf16=6000 TFLOP/s"});  // never below the dense one
  const std::vector<std::string> peaks{"200 TFLOP/s", "500 TFLOP/s", "989.4 TFLOP/s", "1500 TFLOP/s", "3000 TFLOP/s"};
  check_falls(times(base, "/hardware/device/dense_peak/bf16", peaks));
}

TEST_CASE("the tensor peak of a format that nothing computes in does not move the step", "[property]") {
  const double before = small().seconds();
  CHECK(small().with({"/hardware/device/dense_peak/fp8=3000 TFLOP/s"}).seconds() == before);
  CHECK(small().with({"/hardware/device/sparse_peak/bf16=9000 TFLOP/s"}).seconds() == before);
}

TEST_CASE("faster links make a shorter step on every tier", "[property]") {
  check_falls(times(small(), "/hardware/fabric/0/bandwidth", {"100 GB/s", "200 GB/s", "450 GB/s"}));
  check_falls(times(small(), "/hardware/fabric/1/bandwidth", {"6 GB/s", "12.5 GB/s", "25 GB/s", "50 GB/s"}));
}

TEST_CASE("a link that does not bind may be faster without effect, never slower for it", "[property]") {
  for (const char* tier : {"0", "1"}) {
    const std::string field = std::string("/hardware/fabric/") + tier + "/bandwidth";
    const std::vector<double> list =
        times(cut(), field, {"25 GB/s", "50 GB/s", "100 GB/s", "450 GB/s", "900 GB/s", "9 TB/s"});
    for (std::size_t i = 1; i < list.size(); ++i) CHECK(list[i] <= list[i - 1] * (1 + 1e-12));
  }
}

TEST_CASE("latency makes a longer step on every tier", "[property]") {
  for (const char* tier : {"0", "1"}) {
    check_rises(
        times(cut(), std::string("/hardware/fabric/") + tier + "/latency", {"1 ns", "1 us", "10 us", "100 us"}));
  }
}

TEST_CASE("oversubscribed switches make a longer step", "[property]") {
  check_rises(times(small(), "/hardware/fabric/1/oversubscription", {"1", "2", "4"}));
}

TEST_CASE("more devices on the same batch make a shorter step", "[property]") {
  check_falls(times(small(), "devices", {"8", "16", "32", "64"}));
}

// --- the model -------------------------------------------------------------------------------------------------------

TEST_CASE("a larger model makes a longer step", "[property]") {
  check_rises(times(small(), "/model/num_hidden_layers", {"2", "4", "8", "9"}));
  check_rises(times(small(), "/model/hidden_size", {"2048", "4096", "6144"}));
  check_rises(times(small(), "/model/intermediate_size", {"7168", "14336", "16384"}));
  check_rises(times(small(), "/model/num_key_value_heads", {"4", "8", "16", "32"}));
  check_rises(times(small(), "/model/vocab_size", {"32000", "64000", "128000"}));
}

TEST_CASE("a larger top-k makes a longer step and a larger exchange", "[property]") {
  const std::vector<std::string> values{"1", "2", "3", "4", "8"};
  check_rises(times(small(), "/model/num_experts_per_tok", values));
  check_rises(times(fine_grained(), "/model/num_experts_per_tok", values));
  for (const Trial& base : {small(), fine_grained()}) {
    Bytes before;
    for (const std::string& k : values) {
      const Bytes sent = base.with({"/model/num_experts_per_tok=" + k}).bytes("dispatch");
      CHECK(sent > before);
      before = sent;
    }
  }
}

TEST_CASE("dispatch bytes of a flat exchange are proportional to top-k", "[property]") {
  const Bytes one = small().with({"/model/num_experts_per_tok=1"}).bytes("dispatch");
  const Bytes four = small().with({"/model/num_experts_per_tok=4"}).bytes("dispatch");
  REQUIRE_THAT(four / one, WithinRel(4.0, 1e-12));
}

TEST_CASE("more experts at the same top-k cost memory and no less time", "[property]") {
  // From two experts on a rank on: one alone leaves multiprocessors idle in wgrad, whose tiles are few. Flat exchange:
  // a deduplicated one sends less when a token's experts share ranks.
  const Trial coarse = small().with({"/model/num_hidden_layers=2", "/model/intermediate_size=3584"});
  const Trial fine = fine_grained().with({"/workload/transport=nccl"});
  const auto check = [](const Trial& base, const std::string& field, std::initializer_list<const char*> values) {
    double time = 0;
    Bytes memory;
    for (const char* experts : values) {
      const Trial trial = base.with({field + "=" + experts});
      INFO(experts);
      CHECK(trial.seconds() >= time);
      CHECK(trial.train().memory.total() > memory);
      time = trial.seconds();
      memory = trial.train().memory.total();
    }
  };
  check(coarse, "/model/num_local_experts", {"16", "32", "64", "128"});
  check(fine, "/model/num_experts", {"128", "256", "512"});
}

TEST_CASE("a deduplicated exchange sends less when a token's experts share ranks", "[property]") {
  // 64 ranks: one expert each means eight copies, two each 64 (1 - C(126,8)/C(128,8)) = 7.78.
  const Bytes apart = fine_grained().with({"/model/num_experts=64"}).bytes("dispatch");
  const Bytes paired = fine_grained().with({"/model/num_experts=128"}).bytes("dispatch");
  const double none_of_two = 120.0 * 119 / (128 * 127);
  REQUIRE_THAT(paired / apart, WithinRel(64 * (1 - none_of_two) / 8, 1e-9));
}

// --- the work --------------------------------------------------------------------------------------------------------

TEST_CASE("more tokens make a longer step", "[property]") {
  check_rises(times(small(), "/workload/sequence", {"1024", "2048", "4096", "8192"}));
  check_rises(times(small(), "/workload/global_batch", {"16", "32", "64", "128"}));
}

TEST_CASE("a step grows faster than its sequence, because attention is quadratic", "[property]") {
  const double once = small().with({"/workload/sequence=4096"}).seconds();
  const double twice = small().with({"/workload/sequence=8192"}).seconds();
  const Trial halved = small().with({"/workload/sequence=4096", "/workload/global_batch=128"});  // as many tokens
  CHECK(twice > halved.seconds());
  CHECK(halved.seconds() > once);
}

TEST_CASE("larger micro-batches are fewer and hold more activations", "[property]") {
  const Trial one = small(), two = small().with({"/workload/micro_batch=2"});
  CHECK(one.train().micro_batches == 4);  // 64 sequences / 16 data-parallel ranks / 1
  CHECK(two.train().micro_batches == 2);
  REQUIRE_THAT(two.memory("activations") / one.memory("activations"), WithinRel(2.0, 1e-12));
  CHECK(two.seconds() <= one.seconds());  // weights are read half as often, latencies paid half as often
}

TEST_CASE("gradients in bf16 are cheaper to reduce and to hold than in fp32", "[property]") {
  const Trial wide = small(), narrow = small().with({"/workload/gradient_dtype=bf16"});
  REQUIRE_THAT(wide.bytes("gradient reduction") / narrow.bytes("gradient reduction"), WithinRel(2.0, 1e-12));
  REQUIRE_THAT(wide.memory("gradients") / narrow.memory("gradients"), WithinRel(2.0, 1e-12));
  CHECK(narrow.seconds() < wide.seconds());
}

TEST_CASE("every overlap that is switched on hides something or nothing, and never costs", "[property]") {
  const Trial base =
      small().with({"/parallelism/tp=2", "/parallelism/pp=2", "/parallelism/vpp=2", "/parallelism/ep=4"});
  for (const char* what : {"dp_reduce", "param_gather", "tp", "ep_1f1b", "pp"}) {
    INFO(what);
    CHECK(base.with({std::string("/workload/overlap=[\"") + what + "\"]"}).seconds() < base.seconds());
  }
  const Trial shared(R"({"model": {"base": "deepseek-v2-lite", "num_hidden_layers": 4}, "hardware": "h100-sxm",
      "devices": 8, "parallelism": {"ep": 8},
      "workload": {"kind": "train", "sequence": 4096, "global_batch": 16, "overlap": []}})");
  CHECK(shared.with({"/workload/overlap=[\"shared_expert\"]"}).seconds() < shared.seconds());
}

// --- precision -------------------------------------------------------------------------------------------------------

TEST_CASE("fp8 is faster than bf16 where tensor cores bind", "[property]") {
  CHECK(small().with({"recipe=fp8_tensor"}).seconds() < small().seconds());
}

TEST_CASE("a narrower format is faster on a device that has it", "[property]") {
  const Trial base = small().with({"hardware=gb200-nvl72"});
  const double bf16 = base.seconds(), fp8 = base.with({"recipe=mxfp8"}).seconds(),
               fp4 = base.with({"recipe=nvfp4"}).seconds();
  CHECK(fp8 < bf16);
  CHECK(fp4 < fp8);
}

TEST_CASE("a narrower dispatch wire moves fewer bytes", "[property]") {
  const Trial wide = small(), narrow = small().with({"/recipe={\"base\": \"bf16\", \"dispatch_wire\": \"fp8\"}"});
  const auto forward = [](const Trial& trial) {
    for (const BreakdownRow& row : trial.train().breakdown.rows()) {
      if (row.name == "dispatch" && row.phase == "forward") return row.bytes;
    }
    return Bytes{};
  };
  REQUIRE_THAT(forward(wide) / forward(narrow), WithinRel(2.0, 1e-12));
  CHECK(narrow.seconds() < wide.seconds());
}

TEST_CASE("mxfp8 on Hopper says what was priced in its place", "[property]") {
  const Trial trial = small().with({"recipe=mxfp8"});
  bool said = false;
  for (const Warning& warning : trial.evaluation().warnings) {
    said |= warning.code == "recipe_changed" && warning.message.find("fp8_block") != std::string::npos;
  }
  CHECK(said);
  const Trial native = small().with({"recipe=mxfp8", "hardware=gb200-nvl72"});
  for (const Warning& warning : native.evaluation().warnings) CHECK(warning.code != "recipe_changed");
}

TEST_CASE("a format the device has no tensor cores for cannot run", "[property]") {
  const Trial ampere = small().with({"hardware=a100-sxm", "recipe=fp8_tensor"});
  CHECK_THAT(ampere.infeasible().reason, Contains("no fp8 tensor path"));
  const Trial hopper = small().with({"recipe=nvfp4"});
  CHECK_THAT(hopper.infeasible().reason, Contains("no fp4 tensor path"));
}

// --- the cut ---------------------------------------------------------------------------------------------------------

TEST_CASE("without expert parallelism nothing is dispatched", "[property]") {
  const Trial alone = fine_grained().with({"/parallelism/ep=1"});
  CHECK_FALSE(alone.has("dispatch"));
  CHECK_FALSE(alone.has("combine"));
  CHECK_FALSE(alone.has("tensor-parallel exchange"));
  CHECK(fine_grained().has("dispatch"));
  CHECK(fine_grained().has("combine"));
}

TEST_CASE("one device alone sends nothing at all", "[property]") {
  const Trial alone = small().with({"devices=1", "/parallelism/ep=1", "/model/num_hidden_layers=1"});
  for (const BreakdownRow& row : alone.train().breakdown.rows()) {
    INFO(row.name);
    CHECK(row.lane == Lane::compute);
  }
}

TEST_CASE("experts spread wider than tensor parallelism run", "[property]") {
  const Trial trial = small();  // tp 1, ep 8
  CHECK(trial.runs());
  CHECK(trial.has("dispatch"));
  CHECK_FALSE(trial.has("tensor-parallel exchange"));
}

TEST_CASE("tensor parallelism brings its exchanges, more bytes the wider it is", "[property]") {
  Bytes before;
  for (const char* tp : {"2", "4", "8"}) {
    const Trial trial = small().with({std::string("/parallelism/tp=") + tp});
    CHECK(trial.has("tensor-parallel exchange"));
    // A micro-batch moves S (tp-1)/tp, and a device that shares its data takes tp times as many micro-batches.
    CHECK(trial.bytes("tensor-parallel exchange") > before);
    before = trial.bytes("tensor-parallel exchange");
  }
}

TEST_CASE("experts across nodes exchange longer than experts inside one", "[property]") {
  const Trial base = small().with({"/model/num_local_experts=16", "/model/intermediate_size=7168"});
  const Trial inside = base.with({"/parallelism/ep=8"}), across = base.with({"/parallelism/ep=16"});
  CHECK(across.exposed("dispatch") > inside.exposed("dispatch"));
  CHECK(across.exposed("combine") > inside.exposed("combine"));
  CHECK(inside.memory("weights") > across.memory("weights"));
}

TEST_CASE("the same devices in smaller NVLink domains exchange longer", "[property]") {
  const Trial rack = fine_grained();
  Seconds before = rack.exposed("dispatch") + rack.exposed("combine");
  for (const char* span : {"32", "16", "8", "4"}) {
    const Trial nodes =
        fine_grained().with({std::string("/hardware/fabric/0/span=") + span, "/hardware/fabric/1/span=65536"});
    const Seconds exchange = nodes.exposed("dispatch") + nodes.exposed("combine");
    INFO(span);
    CHECK(exchange > before);
    CHECK(nodes.seconds() > rack.seconds());
    before = exchange;
  }
}

TEST_CASE("sending one copy per node beats sending one per expert when nodes are crossed", "[property]") {
  const Trial base = fine_grained().with({"/hardware/fabric/0/span=8", "/hardware/fabric/1/span=65536"});
  const Trial flat = base.with({"/workload/transport=nccl"}), single = base.with({"/workload/transport=deepep"});
  CHECK(single.exposed("dispatch") < flat.exposed("dispatch"));
  CHECK(single.seconds() < flat.seconds());
}

TEST_CASE("the bubble grows with pipeline stages and shrinks with chunks and with micro-batches", "[property]") {
  const Trial base =
      small().with({"devices=8", "/parallelism/ep=1", "/model/num_local_experts=1", "/model/num_experts_per_tok=1",
                    "/model/num_hidden_layers=16", "/model/vocab_size=1000", "/parallelism/zero=0"});
  double before = -1;
  for (const char* pp : {"1", "2", "4", "8"}) {  // 32 micro-batches each: dp falls as pp rises
    const std::string batch = std::to_string(32 * 8 / std::stoi(pp));
    const Trial trial = base.with({std::string("/parallelism/pp=") + pp, "/workload/global_batch=" + batch});
    CHECK(trial.train().micro_batches == 32);
    CHECK(trial.bubble_share() > before);
    before = trial.bubble_share();
  }
  const Trial four = base.with({"/parallelism/pp=4", "/workload/global_batch=32"});  // 16 micro-batches
  CHECK(four.with({"/parallelism/vpp=2"}).bubble_share() < four.bubble_share());
  CHECK(four.with({"/parallelism/vpp=4"}).bubble_share() < four.with({"/parallelism/vpp=2"}).bubble_share());
  before = 1;
  for (const char* batch : {"16", "32", "64", "128"}) {
    const Trial trial = four.with({std::string("/workload/global_batch=") + batch});
    CHECK(trial.bubble_share() < before);
    before = trial.bubble_share();
  }
}

TEST_CASE("context parallelism cuts a device's sequence and brings an exchange", "[property]") {
  const Trial whole = small().with({"/workload/sequence=8192"}), halves = whole.with({"/parallelism/cp=2"});
  CHECK_FALSE(whole.has("context-parallel exchange"));
  CHECK(halves.has("context-parallel exchange"));
  REQUIRE_THAT(whole.memory("activations") / halves.memory("activations"), WithinRel(2.0, 1e-9));
}

// --- routing ---------------------------------------------------------------------------------------------------------

TEST_CASE("no routing is faster than a balanced one", "[property]") {
  for (const Trial& base : {small(), fine_grained(), small().with({"/workload/sequence=512"})}) {
    CHECK(base.with({"/routing/popularity=uniform"}).seconds() >= base.seconds());
  }
  CHECK(fine_grained().with({"/routing/popularity=uniform"}).seconds() > fine_grained().seconds());
}
