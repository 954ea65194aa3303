// What moves when a rank fetches copies of experts that live elsewhere in its group?
//
//   bytes   experts x 3 hidden width / etp of them, one after another; from half the group away, since a copy's home is
//           as likely far as near and the widest tier is what such copies wait for
//   dynamic forward fetches weights once the router has spoken: behind the products of rows that stay. Backward knows the
//           plan: the next layer's weights come and this one's gradients go, each on its side of the line, behind attention
//   plans   EPLB fills every slot anew and keeps one where it was by chance alone; 3000 steps between plans is the default
//           of vLLM (pull request 18343)
#pragma once

#include <algorithm>

#include "ops/work.hpp"
#include "routing/load.hpp"
#include "spec/llm.hpp"
#include "spec/parallelism.hpp"

namespace moeline {

inline Collective expert_copies(const ModelSpec& model, const MoeFfn& moe, const Parallelism& p, double experts,
                                DType type) {
  const Group group = expert_group(p);
  const double parameters = 3 * static_cast<double>(model.hidden * moe.width) / static_cast<double>(p.etp);
  return {CollectiveKind::send_recv, bytes(type, experts * parameters),
          {2, group.stride * std::max<std::int64_t>(1, group.size / 2)}};
}

// Experts that a rank fetches because EPLB's plan changed, per step.
inline double experts_of_new_plans(const MoeFfn& moe, const BalancerWork& work, double ranks) {
  constexpr double kStepsBetweenPlans = 3000;
  return (static_cast<double>(moe.experts) / ranks + work.copies) * (1 - 1 / ranks) / kStepsBetweenPlans;
}

}  // namespace moeline
