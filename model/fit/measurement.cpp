#include "fit/measurement.hpp"

#include "error.hpp"
#include "fit/attention_data.hpp"
#include "fit/deepep_data.hpp"
#include "fit/deepep_published_data.hpp"
#include "fit/framework_all_reduce_data.hpp"
#include "fit/deepgemm_data.hpp"
#include "fit/gemm_data.hpp"
#include "fit/infersim_attention_data.hpp"
#include "fit/layer_data.hpp"
#include "fit/mnnvl_data.hpp"
#include "fit/nccl_data.hpp"
#include "fit/published_collectives_data.hpp"
#include "fit/records.hpp"
#include "fit/step_data.hpp"
#include "fit/training_gemm_data.hpp"
#include "fit/unfitted_data.hpp"

namespace moeline {

std::vector<FamilyData> read_families(const std::string& path) {
  if (path.ends_with(".jsonl")) return record_families(read_file(path), path);
  const Csv csv = Csv::read(path);
  if (is_gemm_csv(csv)) return gemm_families(csv);
  if (is_attention_csv(csv)) return attention_families(csv);
  if (is_training_attention_csv(csv)) {
    std::vector<FamilyData> families = training_attention_families(csv);
    for (FamilyData& family : training_gemm_families(csv)) families.push_back(std::move(family));
    return families;
  }
  if (is_infersim_gemm_csv(csv)) return infersim_gemm_families(csv);
  if (is_infersim_grouped_csv(csv)) return infersim_grouped_families(csv);
  if (is_deepgemm_csv(csv)) return deepgemm_families(csv);
  if (is_infersim_attention_csv(csv)) return infersim_attention_families(csv);
  if (is_llmcompass_csv(csv)) return llmcompass_families(csv);
  if (is_vidur_layer_csv(csv)) return vidur_layer_families(csv);
  if (is_unfitted_csv(csv)) return unfitted_families(csv);
  if (is_nccl_csv(csv)) return nccl_families(csv);
  if (is_deepep_normal_csv(csv)) return deepep_normal_families(csv);
  if (is_deepep_low_latency_csv(csv)) return deepep_low_latency_families(csv);
  if (is_mnnvl_csv(csv)) return mnnvl_families(csv);
  if (is_framework_all_reduce_csv(csv)) return framework_all_reduce_families(csv);
  if (is_published_collectives_csv(csv)) return published_collective_families(csv);
  if (is_deepep_published_csv(csv)) return deepep_published_families(csv);
  if (is_step_csv(csv)) return step_families(csv);
  throw SpecError(path, "the header matches no known measurement file; see docs/guide/measurements.md");
}

}  // namespace moeline
