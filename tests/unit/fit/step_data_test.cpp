#include "fit/step_data.hpp"

#include <catch2/catch.hpp>

#include "fit/step_check.hpp"

using namespace moeline;
using Catch::Contains;
using Catch::WithinRel;

namespace {

constexpr const char* kBridge =
    "release,phase,model,system,gpus,precision,gbs,mbs,seq_len,fsdp,tp,pp,cp,vp,ep,routing,tokens_per_s_per_gpu,"
    "model_tflops_per_gpu,step_time_s_derived,alt_values_in_parentheses,note,source\n"
    "26.06,Pre-Training,LLAMA3_70B,DGX-GB200,64,NVFP4,256,1,8192,0,2,4,1,5,n/a,,4557,2047,7.19,,,x\n"
    "26.06,Pre-Training,LLAMA3_70B,DGX-GB200,64,FP8,256,2,8192,64 (0),1 (2),1 (4),1,1 (5),n/a,,4000,1800,8.2,,,x\n"
    "26.06,SFT,LLAMA3_70B,DGX-H100,32,FP8,32,1,4096,,4,4,1,5,n/a,,1638,710,2.5,,,x\n"
    "26.06,Pre-Training,LLAMA3_70B,DGX-GB300,64,NVFP4,256,2,8192,0,1,1,1,n/a,n/a,,7002,3147,4.68,,,x\n";

MeasuredStep step(const Csv& csv, std::size_t row) { return std::get<MeasuredStep>(measured_step(csv, row)); }

}  // namespace

TEST_CASE("a published step becomes the scenario it was", "[unit]") {
  const Csv csv = Csv::parse(kBridge, "bridge.csv");
  const MeasuredStep first = step(csv, 0);
  CHECK(first.scenario["hardware"] == "gb200-nvl72");
  CHECK(first.scenario["parallelism"]["vpp"] == 5);
  REQUIRE_THAT(first.time.in(second), WithinRel(7.19, 1e-12));
  const MeasuredStep second_row = step(csv, 1);  // the figure before its alternative in parentheses
  CHECK(second_row.scenario["parallelism"]["zero"] == 3);
  CHECK(second_row.scenario["parallelism"]["pp"] == 1);
  CHECK(second_row.scenario["workload"]["offload_layers"] == 40);  // of the recipe
}

TEST_CASE("rows that are no scenario say why", "[unit]") {
  const Csv csv = Csv::parse(kBridge, "bridge.csv");
  CHECK_THAT(std::get<std::string>(measured_step(csv, 2)), Contains("fine-tuning"));
  CHECK_THAT(std::get<std::string>(measured_step(csv, 3)), Contains("two layouts"));
}

TEST_CASE("steps are checked in time, and rows left out are counted by reason", "[unit]") {
  const std::vector<Checked> checked = check_steps(Csv::parse(kBridge, "bridge.csv"), "auto");
  std::size_t rows = 0, skipped = 0;
  for (const Checked& family : checked) {
    rows += family.errors.n;
    for (const auto& [reason, count] : family.skipped) skipped += count;
  }
  CHECK(rows == 2);
  CHECK(skipped == 2);
}
