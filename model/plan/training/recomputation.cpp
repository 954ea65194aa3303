#include "plan/training/recomputation.hpp"

namespace moeline {

std::vector<Recomputation> recomputations_to_fit(const TrainWorkload& workload) {
  std::vector<Recomputation> list;
  EnumSet<Recompute> parts;
  if (workload.attention == AttentionKernel::unfused) {
    parts.insert(Recompute::core_attn);
    list.push_back({"core attention", false, parts});
  }
  for (const Recompute part : {Recompute::layernorm, Recompute::moe_act, Recompute::mla_up_proj}) parts.insert(part);
  list.push_back({"what is cheap (layernorm, moe_act, mla_up_proj)", false, parts});
  for (const Recompute part : {Recompute::moe, Recompute::mlp}) parts.insert(part);
  list.push_back({"all but attention (layernorm, moe, mlp, mla_up_proj)", false, parts});
  list.push_back({"full", true});
  return list;
}

TrainWorkload with(const TrainWorkload& workload, const Recomputation& recomputation) {
  TrainWorkload train = workload;
  train.full_recompute = recomputation.full;
  train.recompute = recomputation.parts;
  train.recompute_given = true;
  return train;
}

}  // namespace moeline
