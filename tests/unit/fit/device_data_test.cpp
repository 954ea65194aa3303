// Readers of the kernels measured on H800, H20, A100 and H100. Rows: published figures of the sources named in the readers.
#include <catch2/catch.hpp>

#include "error.hpp"
#include "fit/calibration_file.hpp"
#include "fit/deepgemm_data.hpp"
#include "fit/infersim_attention_data.hpp"
#include "fit/layer_data.hpp"
#include "fit/pages.hpp"
#include "fit/unfitted_data.hpp"
#include "gpu/roofline.hpp"
#include "spec/catalogue.hpp"
#include "spec/json.hpp"

namespace moeline {
namespace {

using Catch::Matchers::WithinRel;

std::vector<double> starts(const FamilyData& family) {
  std::vector<double> values;
  for (const Parameter& parameter : family.parameters) values.push_back(parameter.start);
  return values;
}

const FamilyData& family_of(const std::vector<FamilyData>& families, std::string_view operation) {
  return *std::find_if(families.begin(), families.end(), [&](const FamilyData& f) { return f.key.operation == operation; });
}

}  // namespace

TEST_CASE("an expert's rows are those that the printed utilisation implies", "[unit]") {
  const Csv csv = Csv::parse(
      "gpu,phase,layout,num_experts,ep_gpus,num_local_experts,topk,hidden,inter,tokens_per_gpu,tokens_per_local_expert,"
      "up_gate_us,up_mfu_source,down_us,down_mfu_source\n"
      "H800,decode,masked,256,256,1,8,7168,2048,64,512,29.764,0.381812,,\n"
      "H20,decode,masked,96,1,96,8,2048,1560,16,1,166.63,0.011,98.115,0.01\n",
      "test");
  REQUIRE(is_infersim_grouped_csv(csv));
  const std::vector<FamilyData> families = infersim_grouped_families(csv);
  REQUIRE(families.size() == 2);
  // 0.381812 x 1979 TFLOP/s x 29.764 us / (2 x 4096 x 7168) = 383 rows of the 512 stated.
  CHECK_THAT(families[1].size[0], WithinRel(383.0, 1e-3));
  CHECK(families[1].skipped.at("missing value") == 1);
  CHECK(families[0].key == FamilyKey{"h20-sxm", "grouped_gemm_masked", "deepgemm", "fp8_block"});
  CHECK(families[0].observations.measured.empty());  // one row per expert
}

TEST_CASE("earlier releases of a library are counted, not mixed in", "[unit]") {
  const Csv csv = Csv::parse(
      "gpu,op,dtype,num_groups,m_per_group,n,k,tflops,latency_us_derived,version\n"
      "H800 SXM5,dense,fp8,1,4096,7168,16384,1358,708.448,README@a6d97a1 2025-02-25\n"
      "H800 SXM5,dense,fp8,1,4096,7168,16384,1520,632.943,README@989c9e3 2025-04-09\n"
      "H800 SXM5,dense,fp8,1,4096,7168,16384,1500,641.382,PR#81 after\n"
      "H800 SXM5,grouped_contiguous,fp8,4,8192,4096,7168,1346,1429.53,README@989c9e3 2025-04-09\n",
      "test");
  const std::vector<FamilyData> families = deepgemm_families(csv);
  CHECK(family_of(families, "gemm").observations.measured == std::vector<double>{632.943});
  CHECK(family_of(families, "gemm").skipped.at("an earlier release of the library") == 2);
  CHECK(family_of(families, "grouped_gemm").size == std::vector<double>{8192});
}

TEST_CASE("a row slower than a larger problem of the same heads was a warm-up", "[unit]") {
  const Csv csv = Csv::parse(
      "gpu,op,phase,dtype,kv_dtype,batch,q_len,kv_len,q_heads,kv_heads,head_dim,rope_dim,dsa_topk,causal,latency_us\n"
      "H800,mha,decode,bf16,bf16,1,1,1024,32,2,128,,,0,241.4\n"
      "H800,mha,decode,bf16,bf16,1,1,4096,32,2,128,,,0,25.7\n"
      "H800,mha,decode,bf16,bf16,1,1,131072,32,2,128,,,0,62.9\n"
      "H800,dsa_sparse_mla,decode,bf16,fp8,64,1,1024,128,1,576,,2048,0,91.245\n",
      "test");
  const std::vector<FamilyData> families = infersim_attention_families(csv);
  CHECK(family_of(families, "decode").observations.measured.size() == 2);
  CHECK(family_of(families, "decode").skipped.at("slower than a larger problem: warm-up") == 1);
  CHECK(family_of(families, "dsa_sparse_mla").skipped.at("sparse attention: no equation here") == 1);
}

TEST_CASE("a pass takes its bytes over the bandwidth, and never less than the host needs to launch it", "[unit][property]") {
  const Csv csv = Csv::parse(
      "gpu,op,dtype,m,n,k,latency_us,tflops,giga_elements_per_s\n"
      "A100 SXM,gelu,fp16,1,1024,,,,0.0212622\nA100 SXM,gelu,fp16,1,1048576,,,,21.9354\n"
      "A100 SXM,gelu,fp16,1,536870912,,,,390.328\nA100 SXM,softmax,fp16,4096,32768,,,,240.886\n",
      "test");
  const std::vector<FamilyData> families = llmcompass_families(csv);
  REQUIRE(families.size() == 2);
  const FamilyData &gelu = families[0], &softmax = families[1];
  CHECK_THAT(gelu.observations.measured[0], WithinRel(48.16, 1e-3));  // 1024 elements / 0.0212622 per ns
  CHECK(gelu.size[2] == 4.0 * 536870912);                             // read and written in 2 bytes
  CHECK(softmax.size[0] == 8.0 * 4096 * 32768);                       // read three times, written once
  const std::vector<double> values = starts(gelu);                    // host 6 us, launch 3 us, 0.7 of 2039 GB/s
  CHECK_THAT(gelu.observations.predicted(values, 0), WithinRel(6.0, 0.02));
  CHECK_THAT(gelu.observations.predicted(values, 2), WithinRel(3 + 2147483648 / (0.7 * 2039e3), 1e-6));
  CHECK(gelu.observations.predicted(values, 1) > gelu.observations.predicted(values, 0));
}

TEST_CASE("known files without times of a stated problem are counted or refused with their reason", "[unit]") {
  const Csv best = Csv::parse("accelerator,dtype,m,n,k,tflops_mean,peak_tflops,efficiency_pct,torch_version,note\n"
                              "NVIDIA H100 SXM,bf16,2048,2048,13312,794.5,989,80.3,2.7.0+cu126,\n",
                              "best.csv");
  REQUIRE(is_unfitted_csv(best));
  const std::vector<FamilyData> families = unfitted_families(best);
  REQUIRE(families.size() == 1);
  CHECK(families[0].observations.measured.empty());
  CHECK(families[0].skipped.begin()->second == 1);
  const Csv models = Csv::parse("model,type,layers,hidden,moe_ffn,num_experts,topk,vocab\nDeepSeek-V2,moe,60,5120,1536,160,6,102400\n", "models.csv");
  CHECK_THROWS_AS(unfitted_families(models), SpecError);
}

TEST_CASE("grouped products are priced by their own page where there is one", "[unit]") {
  const Document profile = find_hardware("h200-sxm", "test");
  const Cluster cluster = read_cluster(profile.json, profile.origin);
  FamilyFit page{.key = {"h200-sxm", "grouped_gemm", "deepgemm", "fp8_block"}};
  for (const auto& [name, value] : std::vector<std::pair<std::string, double>>{
           {"launch", 3}, {"tensor", 0.5}, {"memory", 0.9}, {"load", 120}, {"k_step", 100}, {"epilogue", 200}, {"leak", 0.3}, {"expert", 0.02}}) {
    page.parameters.push_back({.name = name, .unit = "test"});
    page.fit.values.push_back(value);
    page.fit.at_bound.push_back(false);
  }
  Json file;
  for (const CatalogueEntry& entry : calibration_catalogue()) {
    if (entry.name == "h200-sxm") file = parse_json(entry.text, "h200-sxm");
  }
  file["families"].push_back(to_json(page));
  std::string note;
  const Calibration calibration = calibration_from(file, "test", cluster, note);
  REQUIRE(calibration.grouped(DType::fp8_block) != nullptr);
  CHECK(calibration.grouped(DType::bf16) == nullptr);
  const Machine machine{std::get<Gpu>(cluster.device), cluster.fabric, calibration};
  const GroupedGemm work{.groups = 8, .m = 4096, .n = 4096, .k = 7168, .operands = DType::fp8_block};
  const OpCost priced = cost(Work{work}, machine);
  CHECK(priced.source == Source::fitted);
  CHECK(priced.time > priced.flops / (0.5 * machine.gpu.dense_peak.fp8->value));  // at the page's half of the peak
}

}  // namespace moeline
