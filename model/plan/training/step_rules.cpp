#include "plan/training/step_rules.hpp"

#include <fmt/format.h>

#include "plan/training/schedule.hpp"

namespace moeline {

std::optional<Infeasible> check_batch(const Parallelism& p, const TrainWorkload& train) {
  const std::int64_t samples = p.dp * train.micro_batch, micro_batches = train.global_batch / samples;
  if (train.global_batch % samples != 0) {
    return Infeasible{fmt::format("dp x micro_batch = {} does not divide global_batch {}", samples, train.global_batch),
                      fmt::format("change global_batch to a multiple of {}", samples)};
  }
  if (p.schedule == Schedule::interleaved && micro_batches % p.pp != 0) {
    return Infeasible{fmt::format("interleaved 1F1B needs micro-batches in multiples of pp; there are {} for pp={}", micro_batches, p.pp),
                      "raise global_batch, or set vpp=1"};
  }
  const std::int64_t least = least_micro_batches(p.schedule, p.pp), multiple = micro_batch_multiple(p.schedule, p.pp);
  if (micro_batches < least || micro_batches % multiple != 0) {
    return Infeasible{fmt::format("{} needs at least {} micro-batches{} for pp={}; there are {}", name(p.schedule), least,
                                  multiple > 1 ? fmt::format(", in multiples of {},", multiple) : "", p.pp, micro_batches),
                      "change global_batch, pp or the schedule"};
  }
  if (p.vpp > 1 && p.pp == 1) return Infeasible{"vpp > 1 needs pp > 1", "set vpp=1"};
  if (micro_batches * p.pp * p.vpp > (1 << 24)) {
    return Infeasible{fmt::format("{} micro-batches over {} chunks are more than can be simulated", micro_batches, p.pp * p.vpp),
                      "raise micro_batch or dp"};
  }
  if (train.lora && p.zero == 3) return Infeasible{"frozen weights are not sharded over data-parallel ranks", "set zero=1 or 2"};
  if (train.sequence % (p.cp * p.tp) != 0) {
    return Infeasible{fmt::format("cp x tp = {} does not divide the sequence of {}", p.cp * p.tp, train.sequence),
                      "change sequence, cp or tp so that it does"};
  }
  return std::nullopt;
}

std::optional<Infeasible> check_overlap(const Parallelism& p, const TrainWorkload& train) {
  const Schedule schedule = p.schedule;
  if (train.overlap.contains(Overlap::ep_1f1b) && schedule != Schedule::one_f_one_b && schedule != Schedule::interleaved) {
    return Infeasible{fmt::format("overlap ep_1f1b combines the passes of 1F1B, and the schedule is {}", name(schedule)),
                      "leave ep_1f1b out; dualpipe and dualpipe_v pair passes by themselves"};
  }
  return std::nullopt;
}

std::string memory_advice(std::string_view largest, const TrainWorkload& train) {
  if (largest == "activations" && train.full_recompute) return "raise tp, cp or pp, or lower micro_batch";
  if (largest == "activations") return "recompute more (workload/recompute: mla_up_proj, moe_act, layernorm, moe or full), raise tp or pp";
  if (largest == "optimizer") return "raise dp or ep, use adam_bf16_states, or raise pp";
  return "raise ep, tp or pp, or zero to 3";
}

}  // namespace moeline
