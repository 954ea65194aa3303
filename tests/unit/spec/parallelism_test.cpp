#include "spec/parallelism.hpp"

#include <catch2/catch.hpp>

#include "error_of.hpp"
#include "spec/catalogue.hpp"
#include "spec/cluster.hpp"
#include "spec/json.hpp"

using namespace moeline;
using Catch::Contains;

namespace {

Parallelism read(const std::string& text) {
  const Json json = parse_parallelism_text(text, "--parallel");
  return read_parallelism(ObjectReader(json, "--parallel"));
}
std::string read_error_of(const std::string& text) {
  return error_of([&] { read(text); });
}

ModelSpec model(const char* name) {
  const Document document = find_model(name, "test");
  return read_model(document.json, document.origin, document.name);
}

// The sentence that says why `text` cannot cut the model over the devices; empty if it can.
std::string reason(const std::string& text, std::int64_t devices, const char* name = "deepseek-v3") {
  Parallelism p = read(text);
  const std::optional<Infeasible> why = resolve(p, devices, model(name));
  return why ? why->reason : "";
}

// 8 devices to a node, nodes joined by rails.
Fabric nodes_of_eight() {
  const Document document = find_hardware("h200-sxm", "test");
  return read_cluster(document.json, document.origin).fabric;
}

}  // namespace

TEST_CASE("a layout in one line is read, dp left to be worked out", "[unit]") {
  const Parallelism p = read("tp=2,pp=4,vpp=2,ep=16,etp=1,cp=2,dp=auto,zero=2");
  CHECK(p.tp == 2);
  CHECK(p.pp == 4);
  CHECK(p.vpp == 2);
  CHECK(p.ep == 16);
  CHECK(p.etp == 1);
  CHECK(p.cp == 2);
  CHECK(p.zero == 2);
  CHECK_FALSE(p.requested_dp.has_value());
  CHECK(p.schedule == Schedule::interleaved);
}

TEST_CASE("dp is what tp, cp and pp leave of the devices", "[unit]") {
  Parallelism p = read("tp=2,cp=2,pp=4,ep=16");
  CHECK_FALSE(resolve(p, 256, model("deepseek-v3")).has_value());
  CHECK(p.dp == 16);                  // 256 / (2 x 2 x 4)
  CHECK(p.ranks_per_stage() == 64);   // 256 / 4
  CHECK(p.edp() == 4);                // 64 / 16
}

TEST_CASE("ranks of one stage are cut twice: tp x cp x dp, and etp x ep x edp", "[unit]") {
  for (const char* text : {"tp=1,ep=64", "tp=8,ep=8", "tp=2,etp=2,ep=32", "tp=4,etp=1,ep=64,cp=2", "pp=4,ep=64"}) {
    Parallelism p = read(text);
    REQUIRE_FALSE(resolve(p, 256, model("deepseek-v3")).has_value());
    CHECK(p.tp * p.cp * p.dp * p.pp == 256);
    CHECK(p.etp * p.ep * p.edp() * p.pp == 256);
  }
}

TEST_CASE("tensor ranks are neighbours, expert ranks too, pipeline stages furthest apart", "[unit]") {
  Parallelism p = read("tp=2,cp=2,pp=4,ep=16,etp=2");
  REQUIRE_FALSE(resolve(p, 256, model("deepseek-v3")).has_value());
  const auto is = [](Group group, std::int64_t size, std::int64_t stride) {
    return group.size == size && group.stride == stride;
  };
  CHECK(is(tensor_group(p), 2, 1));
  CHECK(is(context_group(p), 2, 2));           // after the 2 tensor ranks
  CHECK(is(data_group(p), 32, 2));             // dp 16 x cp 2, each 2 tensor ranks apart
  CHECK(is(expert_tensor_group(p), 2, 1));
  CHECK(is(expert_group(p), 16, 2));           // after the 2 expert-tensor ranks
  CHECK(is(expert_data_group(p), 2, 32));      // 64 ranks / (2 x 16), 32 apart
  CHECK(is(pipeline_group(p), 4, 64));         // 256 / 4
}

TEST_CASE("a cut that does not fill the devices is refused with the numbers", "[unit]") {
  CHECK(reason("tp=3", 256) == "tp x cp x pp = 3 does not divide 256 devices");
  CHECK(reason("dp=8,pp=4", 256) == "tp x cp x pp x dp = 32 uses 32 devices of 256");
  CHECK(reason("tp=8,pp=64", 256) == "tp x cp x pp = 512 does not divide 256 devices");
  CHECK(reason("dp=64,pp=4", 256).empty());
}

TEST_CASE("experts must divide over ep and ep over the ranks of a stage", "[unit]") {
  CHECK(reason("ep=128,pp=4", 256) ==
        "etp x ep = 128 does not divide the 64 ranks of a pipeline stage (tp x cp x dp)");
  CHECK(reason("ep=8", 8, "mixtral-8x7b").empty());
  CHECK(reason("ep=16", 16, "mixtral-8x7b") == "ep=16 does not divide the 8 experts of mixtral-8x7b");
  CHECK(reason("ep=24", 24) == "ep=24 does not divide the 256 experts of deepseek-v3");
}

TEST_CASE("a dense model takes no expert parallelism", "[unit]") {
  CHECK(reason("ep=8", 8, "llama-3.1-8b") == "ep=8 but llama-3.1-8b has no experts");
  CHECK(reason("tp=8", 8, "llama-3.1-8b").empty());
}

TEST_CASE("heads must divide over tp", "[unit]") {
  CHECK(reason("tp=3", 24) == "tp=3 does not divide the 128 attention heads of deepseek-v3");
}

TEST_CASE("there are no more stages than layers to fill them", "[unit]") {
  CHECK(reason("pp=16,vpp=4", 256, "mixtral-8x7b") == "pp x vpp = 64 stages for 32 layers");
}

TEST_CASE("the largest degrees that can be written do not overflow", "[unit]") {
  CHECK_THAT(reason("tp=1048576,cp=1048576,pp=1048576,ep=1048576,etp=1048576", 1 << 24), Contains("does not divide"));
  CHECK_THAT(read_error_of("tp=1048577"), Contains("out of range"));
  CHECK_THAT(read_error_of("tp=99999999999999999999"), Contains("expected a whole number"));
}

TEST_CASE("zero, negative and fractional degrees are refused", "[unit]") {
  for (const char* key : {"tp", "pp", "vpp", "ep", "etp", "cp", "dp"}) {
    CHECK_THAT(read_error_of(std::string(key) + "=0"), Contains("out of range"));
    CHECK_THAT(read_error_of(std::string(key) + "=-1"), Contains("out of range"));
    CHECK(read_error_of(std::string(key) + "=1.5") != "no error");
    CHECK(read_error_of(std::string(key) + "=") != "no error");
  }
  CHECK_THAT(read_error_of("zero=4"), Contains("expected 0 to 3"));
}

TEST_CASE("a layout that cannot be read says what was expected", "[unit]") {
  CHECK(read_error_of("tp") == "--parallel: \"tp\": expected name=value, such as tp=1,pp=4,ep=64");
  CHECK_THAT(read_error_of("tpp=1"), Contains("unknown name \"tpp\", did you mean"));
  CHECK_THAT(read_error_of("dp=all"), Contains("expected a whole number or \"auto\""));
  CHECK_THAT(read_error_of("tp=1,,pp=2"), Contains("expected name=value"));
  CHECK_THAT(read_error_of("tp=1,tp=2"), Contains("\"tp\" is given twice"));
}

TEST_CASE("schedules follow vpp and contradictions are refused", "[unit]") {
  CHECK(read("pp=4").schedule == Schedule::one_f_one_b);
  CHECK(read("pp=4,vpp=2,schedule=1f1b").schedule == Schedule::interleaved);
  CHECK(read("pp=4,schedule=gpipe").schedule == Schedule::gpipe);
  CHECK_THAT(read_error_of("pp=4,schedule=interleaved_1f1b"), Contains("needs vpp of at least 2"));
  CHECK_THAT(read_error_of("pp=4,vpp=2,schedule=gpipe"), Contains("vpp=1 only"));
  CHECK(read("pp=4,schedule=dualpipe").schedule == Schedule::dualpipe);
  CHECK(read("pp=4,schedule=zb_v").vpp == 2);  // folded: two chunks a stage
  CHECK_THAT(read_error_of("pp=4,vpp=3,schedule=dualpipe_v"), Contains("dualpipe_v runs with vpp=2 only"));
  CHECK_THAT(read_error_of("pp=4,vpp=2,schedule=zb_h1"), Contains("zb_h1 runs with vpp=1 only"));
  CHECK_THAT(read_error_of("pp=4,schedule=1f1c"), Contains("did you mean \"1f1b\""));
}

TEST_CASE("a group inside a node uses the node's links, a larger one the network", "[unit]") {
  const Fabric fabric = nodes_of_eight();
  CHECK(tier_of({1, 1}, fabric) == 0);
  CHECK(tier_of({8, 1}, fabric) == 0);
  CHECK(tier_of({16, 1}, fabric) == 1);
  CHECK(tier_of({2, 4}, fabric) == 0);    // devices 0 and 4
  CHECK(tier_of({2, 8}, fabric) == 1);    // devices 0 and 8
  CHECK(tier_of({1, 4096}, fabric) == 0);
}

TEST_CASE("members of a group that share a node of eight", "[unit]") {
  const Fabric fabric = nodes_of_eight();
  CHECK(members_within({64, 1}, fabric, 0) == 8);
  CHECK(members_within({64, 2}, fabric, 0) == 4);
  CHECK(members_within({64, 8}, fabric, 0) == 1);
  CHECK(members_within({64, 64}, fabric, 0) == 1);
  CHECK(members_within({4, 1}, fabric, 0) == 4);
  CHECK(members_within({64, 3}, fabric, 0) == 2);   // 0 3 6 | 9 12 15 | 18 21: the emptiest holds 2
  CHECK(members_within({64, 1}, fabric, 1) == 64);
}

TEST_CASE("a group larger than the fabric stays on the outermost tier", "[unit]") {
  CHECK(tier_of({1 << 20, 1}, nodes_of_eight()) == 1);
}
