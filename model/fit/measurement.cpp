#include "fit/measurement.hpp"

#include "error.hpp"
#include "fit/attention_data.hpp"
#include "fit/deepep_data.hpp"
#include "fit/gemm_data.hpp"
#include "fit/mnnvl_data.hpp"
#include "fit/moe_data.hpp"
#include "fit/nccl_data.hpp"
#include "fit/training_gemm_data.hpp"

namespace moeline {

std::vector<FamilyData> read_families(const std::string& path) {
  const Csv csv = Csv::read(path);
  if (is_gemm_csv(csv)) return gemm_families(csv);
  if (is_attention_csv(csv)) return attention_families(csv);
  if (is_training_attention_csv(csv)) {
    std::vector<FamilyData> families = training_attention_families(csv);
    for (FamilyData& family : training_gemm_families(csv)) families.push_back(std::move(family));
    return families;
  }
  if (is_moe_op_csv(csv)) return moe_op_families(csv);
  if (is_nccl_csv(csv)) return nccl_families(csv);
  if (is_deepep_normal_csv(csv)) return deepep_normal_families(csv);
  if (is_deepep_low_latency_csv(csv)) return deepep_low_latency_families(csv);
  if (is_mnnvl_csv(csv)) return mnnvl_families(csv);
  throw SpecError(path, "the header matches no known measurement file; see docs/guide/measurements.md");
}

}  // namespace moeline
