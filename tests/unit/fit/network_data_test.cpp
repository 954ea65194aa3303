#include <catch2/catch.hpp>

#include "fit/deepep_data.hpp"
#include "fit/mnnvl_data.hpp"
#include "fit/nccl_data.hpp"

using namespace moeline;
using Catch::WithinRel;

TEST_CASE("NCCL rows become medians of repeats, one family a device", "[unit]") {
  const Csv csv = Csv::parse(
      "gpu,nccl_version,op,dtype,num_gpus,size_bytes,latency_us\n"
      "h200_sxm,2.26.2,all_reduce,int8,8,8388608,73\n"
      "h200_sxm,2.26.2,all_gather,half,2,512,5\n"
      "h200_sxm,2.26.2,all_gather,half,2,512,7\n"
      "h200_sxm,2.26.2,alltoall,half,4,512,\n"
      "gb200,2.29.2,alltoall,half,4,512,9\n",
      "test");
  REQUIRE(is_nccl_csv(csv));
  const std::vector<FamilyData> families = nccl_families(csv);
  REQUIRE(families.size() == 2);
  CHECK(families[0].key == FamilyKey{"gb200-nvl72", "collective", "nccl", "all"});
  CHECK(families[0].check_only);
  REQUIRE(families[1].observations.measured.size() == 2);
  REQUIRE_THAT(families[1].observations.measured[0], WithinRel(6.0, 1e-12));
  REQUIRE_THAT(families[1].observations.weight[1] * families[1].observations.weight[1], WithinRel(3.0, 1e-6));
  CHECK(families[1].group[0] != families[1].group[1]);
  CHECK(families[1].skipped.at("missing value") == 1);
  CHECK(families[1].skipped.at("repeat of one measurement: its median is used") == 1);
  CHECK_FALSE(nccl_rows(csv, "h200-sxm")[1].floating);
}

TEST_CASE("DeepEP rows that the fabric spoilt are counted, not fitted", "[unit]") {
  const Csv csv = Csv::parse(
      "gpu,fw_version,nodes,ep,hidden_size,tokens_per_rank,topk,num_experts,sms,dispatch_us,combine_us\n"
      "h200_sxm,0.5.12,1,8,7168,4096,8,256,24,500,900\n"
      "h200_sxm,0.5.6.post2,1,8,7168,4096,8,256,24,500,900\n"
      "h200_sxm,0.5.6.post2,2,16,7168,4096,8,256,24,500,900\n"
      "h200_sxm,0.5.6.post2,2,16,7168,4096,8,256,12,500,900\n"
      "h200_sxm,0.5.6.post2,8,64,7168,4096,8,256,24,500,900\n",
      "test");
  REQUIRE(is_deepep_normal_csv(csv));
  CHECK_FALSE(is_deepep_low_latency_csv(csv));
  const std::vector<FamilyData> families = deepep_normal_families(csv);
  REQUIRE(families.size() == 4);
  for (const FamilyData& family : families) {
    CHECK(family.observations.measured.size() == 1);
    std::vector<double> start;
    for (const Parameter& p : family.parameters) start.push_back(p.start);
    CHECK(family.observations.predicted(start, 0) > 50);  // microseconds, not seconds
    CHECK(family.observations.predicted(start, 0) < 5000);
    const bool nodes = family.key.operation.find("_nodes_") != std::string::npos;
    CHECK(family.skipped.size() == (nodes ? 2 : 1));
  }
}

TEST_CASE("NVL72 rows carry the benchmark's balanced routing and formats", "[unit]") {
  const Csv csv = Csv::parse(
      "gpu,framework,fw_version,kernel,op,dtype,tokens_per_rank,hidden_size,topk,num_experts,ep,distribution,"
      "latency_us\n"
      "gb200,trtllm,1,NVLinkOneSided,alltoall_combine,nvfp4,1,7168,8,256,2,balanced,16\n"
      "gb200,trtllm,1,NVLinkOneSided,alltoall_combine,nvfp4,65536,7168,8,256,2,balanced,1415\n"
      "gb200,trtllm,1,NVLinkTwoSided,alltoall_prepare,fp8,64,7168,8,256,2,balanced,16\n"
      "gb200,trtllm,1,NVLinkTwoSided,alltoall_dispatch,fp8,64,7168,8,256,2,balanced,16\n",
      "test");
  REQUIRE(is_mnnvl_csv(csv));
  const std::vector<FamilyData> families = mnnvl_families(csv);
  REQUIRE(families.size() == 3);
  CHECK(families[2].skipped.at("preparation: counts only, before the exchange") == 1);
  CHECK(families[0].key == FamilyKey{"gb200-nvl72", "mnnvl_combine", "trtllm-one-sided", "bf16"});
  CHECK(families[0].skipped.at("one token a rank: cold rows") == 1);
  // launch 10 us, doubling 0, token 0, the whole link, no decay: 65,536 BF16 rows of 14,336 B to one peer.
  const std::vector<double> values{10, 0, 0, 1, 0};
  REQUIRE_THAT(families[0].observations.predicted(values, 0), WithinRel(10 + 65536 * 14336.0 / 900e3, 1e-12));
  REQUIRE_THAT(mnnvl_dispatch_row(7168, 0.5625, 8).in(byte), WithinRel(7168 * 0.5625 + 64, 1e-12));
}
