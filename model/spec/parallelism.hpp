// How is the model cut over the devices, and is the cut legal?
//
//   attention, dense, router:  devices = tp x cp x dp x pp      (tp innermost: neighbouring device numbers)
//   routed experts:            devices = etp x ep x edp x pp    (the same tp x cp x dp ranks, cut again)
//
// Folded expert parallelism as in Megatron-Core: ep may span tp, cp and dp ranks, so tp = 1 with ep > 1 is ordinary.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "spec/fabric.hpp"
#include "spec/llm.hpp"
#include "spec/reader.hpp"

namespace moeline {

enum class Schedule { gpipe, one_f_one_b, interleaved, zb_h1, zb_h2, zb_v, dualpipe, dualpipe_v };
constexpr bool is_folded(Schedule s) { return s == Schedule::zb_v || s == Schedule::dualpipe_v; }  // two chunks a stage, down and up
constexpr bool runs_both_ways(Schedule s) { return s == Schedule::dualpipe; }                     // from both ends
constexpr bool pairs_passes(Schedule s) { return s == Schedule::dualpipe || s == Schedule::dualpipe_v; }  // forward beside backward

struct Parallelism {
  std::int64_t tp = 1, pp = 1, vpp = 1, ep = 1, etp = 1, cp = 1;
  std::optional<std::int64_t> requested_dp{};  // absent: "auto"
  std::int64_t dp = 1;                          // resolved
  int zero = 1;                                 // 0 replicated, 1 optimiser, 2 + gradients, 3 + weights sharded over dp
  std::int64_t shard = 0;                       // ranks that ZeRO 3 shards over, replicas of each other; 0: all of dp x cp
  Schedule schedule = Schedule::one_f_one_b;

  std::int64_t ranks_per_stage() const { return tp * cp * dp; }
  std::int64_t edp() const { return ranks_per_stage() / (etp * ep); }
  // Stages of a pipeline that hold the same weights.
  std::int64_t copies() const { return runs_both_ways(schedule) ? 2 : 1; }

  bool operator==(const Parallelism&) const = default;
};

Parallelism read_parallelism(ObjectReader reader);
// Parses "tp=1,pp=4,ep=64,dp=auto" into the JSON that read_parallelism takes.
Json parse_parallelism_text(const std::string& text, const std::string& where);

// Sets dp and says why the cut cannot be made, if it cannot.
std::optional<Infeasible> resolve(Parallelism& parallelism, std::int64_t devices, const ModelSpec& model);

// Rank groups on the device numbering, for the fabric.
Group tensor_group(const Parallelism& p);
Group context_group(const Parallelism& p);
Group data_group(const Parallelism& p);          // dp x cp x copies: gradients of attention and dense weights
Group shard_group(const Parallelism& p);         // of data_group, those that share one copy
Group replica_group(const Parallelism& p);       // of data_group, those that hold the same shard
Group expert_group(const Parallelism& p);
Group expert_tensor_group(const Parallelism& p);
Group expert_data_group(const Parallelism& p);
Group pipeline_group(const Parallelism& p);

std::string_view name(Schedule schedule);
const std::vector<Schedule>& all_schedules();

}  // namespace moeline
