#include <catch2/catch.hpp>

#include "fit/deepep_published_data.hpp"
#include "fit/framework_all_reduce_data.hpp"
#include "fit/published_collectives_data.hpp"
#include "fit/step_data.hpp"

using namespace moeline;
using Catch::WithinRel;

TEST_CASE("framework all-reduces are read as graph rows of two-byte elements", "[unit]") {
  const Csv csv = Csv::parse(
      "gpu,framework,fw_version,kernel,backend,dtype,num_gpus,message_elements,latency_us\n"
      "h200_sxm,sglang,0.5.14,k,sglang_graph,bfloat16,8,524288,13.0\n"
      "h200_sxm,sglang,0.5.14,k,sglang_eager,bfloat16,8,524288,30\n"
      "h200_sxm,sglang,0.5.14,k,sglang_graph,bfloat16,8,16777216,200\n"
      "h200_sxm,sglang,0.5.14,k,sglang_graph,bfloat16,2,128,\n",
      "test");
  REQUIRE(is_framework_all_reduce_csv(csv));
  const std::vector<FamilyData> families = framework_all_reduce_families(csv);
  REQUIRE(families.size() == 1);
  const FamilyData& data = families[0];
  CHECK(data.key == FamilyKey{"h200-sxm", "framework_all_reduce", "sglang", "bf16"});
  REQUIRE(data.observations.measured.size() == 1);
  CHECK(data.size[0] == 1048576);
  CHECK(data.skipped.size() == 3);  // eager, NCCL's size, no time
  // launches 2 and 6 us, no hop, the whole link: two shots, 6 + 1 MiB x 1.75 / 450 GB/s
  const std::vector<double> values{2, 0, 1, 6, 1};
  CHECK_THAT(data.observations.predicted(values, 0), WithinRel(6 + 1048576 * 1.75 / 450e3, 1e-9));
}

TEST_CASE("published collectives are checked where device and ranks are stated", "[unit]") {
  const std::vector<FamilyData> vidur = published_collective_families(
      Csv::parse("system,collective,dtype,num_gpus,gpus_per_node,nodes,size_bytes,latency_us_median,latency_us_min\n"
                 "H100 DGX (8x NVSwitch),all_reduce,fp16,8,8,1,64749568,339,339\n"
                 "H100 DGX (8x NVSwitch),all_reduce,fp16,8,8,1,2048,37,15\n"
                 "H100 DGX (8x NVSwitch),send_recv,fp16,2,1,2,64749568,1900,1900\n"
                 "H100 pairwise NVLink,all_reduce,fp16,4,4,1,64749568,1993,1991\n",
                 "test"));
  REQUIRE(vidur.size() == 2);
  CHECK(vidur[0].key.device == "h100-pairs");
  CHECK(vidur[0].observations.measured.empty());
  CHECK(vidur[1].key == FamilyKey{"h100-sxm", "collective", "nccl", "all"});
  CHECK(vidur[1].observations.measured == std::vector<double>{339});
  CHECK(vidur[1].skipped.size() == 2);
  const std::vector<FamilyData> racks = published_collective_families(
      Csv::parse("system,gpus,nodes,nvlink_domains,nccl_version,collective,dtype,size_bytes,oop_time_us\n"
                 "GB200 NVL72,72,18,1,2.26.2,all_reduce,fp32,536870912,1806.7\n"
                 "GB200 NVL72,144,36,2,2.26.2,all_reduce,fp32,536870912,2156.8\n",
                 "test"));
  REQUIRE(racks.size() == 1);
  CHECK(racks[0].observations.measured.size() == 1);
  CHECK(racks[0].skipped.begin()->second == 1);
  const std::vector<FamilyData> unnamed = published_collective_families(Csv::parse(
      "system,collective,size_bytes,busbw_gbps,algbw_gbps,latency_us_derived\n4 nodes,all_reduce,32768,0.92,0.48,68\n",
      "test"));
  CHECK(unnamed.at(0).skipped.at("neither device nor ranks stated") == 1);
  for (const FamilyData& data : {vidur[0], vidur[1], racks[0], unnamed[0]}) CHECK(data.check_only);
}

TEST_CASE("DeepEP's printed bandwidth counts the copies of every distinct rank or node", "[unit]") {
  const Csv csv = Csv::parse(
      "gpu,mode,op,payload_dtype,ep,nodes,tokens_per_rank,hidden,topk,num_experts,topk_groups,bottleneck_link,"
      "bottleneck_gbps,latency_us,version\n"
      "H800,normal,combine,bf16,8,1,4096,7168,8,256,4,NVLink,158,,README@a 2025-02-25\n"
      "H800,normal,combine,bf16,16,2,4096,7168,8,256,4,RDMA,43,,README@b 2025-06\n"
      "H800,low_latency,dispatch,fp8,8,1,128,7168,8,,,RDMA,98,77,README@b 2025-06\n",
      "test");
  REQUIRE(is_deepep_published_csv(csv));
  const std::vector<FamilyData> families = deepep_published_families(csv);
  REQUIRE(families.size() == 3);  // in the order of their names
  CHECK(families[0].key == FamilyKey{"h800-sxm", "deepep_low_latency_dispatch", "deepep", "fp8"});
  CHECK(families[0].observations.measured == std::vector<double>{77});
  // Of two nodes, a token's 8 distinct experts reach 2 (1 - C(128,8)/C(256,8)) = 1.9932:
  // C(128,8)/C(256,8) = prod (128-i)/(256-i), i = 0..7 = 0.003486
  double miss = 1;
  for (int i = 0; i < 8; ++i) miss *= (128.0 - i) / (256.0 - i);
  CHECK_THAT(families[1].observations.measured.at(0), WithinRel(4096 * 2 * (1 - miss) * 14336 / 43e3, 1e-9));
  CHECK(families[2].observations.measured.empty());
  CHECK(families[2].skipped.at("an earlier version of the library") == 1);
}

TEST_CASE("files of whole steps are recognised and hold no kernel rows", "[unit]") {
  const Csv csv = Csv::parse(
      "model,gpu,gpus,tp,pp,dp,virtual_pp,global_batch,micro_batch,seq_len,recompute,iteration_s\n"
      "megatron-22B,A100 SXM 80GB,8,8,1,1,1,4,4,2048,full,1.42\n",
      "test");
  REQUIRE(is_step_csv(csv));
  const std::vector<FamilyData> families = step_families(csv);
  REQUIRE(families.size() == 1);
  CHECK(families[0].key.operation == "training_step");
  CHECK(families[0].check_only);
  CHECK(families[0].observations.measured.empty());
  CHECK(families[0].skipped.begin()->second == 1);
}
