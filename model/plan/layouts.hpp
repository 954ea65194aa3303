// Which cuts of a model over a cluster are legal, before anything is priced?
//
//   tp, etp   divisors of the devices, inside the innermost tier (NVLink); tp divides the heads, by `resolve`
//   cp, pp    divisors of what is left; dp is the rest;  ep divides the experts, etp x ep the ranks of a stage
//   vpp       where every chunk gets equally many layers, with or without embedding and loss as one each
//   schedule  1f1b and interleaved_1f1b, or those asked for, where they run pp stages of vpp chunks
//   zero 0..3, micro-batch 1, 2, 4 .. 16, recompute none, selective, of light parts, full
// A layout is legal when `resolve` says so and the micro-batches come out whole. What is not is counted by reason.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "plan/training/recomputation.hpp"
#include "spec/scenario.hpp"

namespace moeline {

struct Layout {
  Parallelism parallelism;
  std::int64_t micro_batch = 1;
  const Recomputation* recompute = nullptr;  // static
};

// Layouts whose layers cost the same: members differ in pp, vpp, dp, schedule and zero.
struct LayoutFamily {
  std::int64_t tp = 1, cp = 1, ep = 1, etp = 1, micro_batch = 1;
  const Recomputation* recompute = nullptr;
};

using ReasonCounts = std::map<std::string, std::uint64_t>;

// Only layouts with these values; keys: tp pp vpp ep etp cp dp zero schedule micro_batch recompute.
using FixedFields = std::map<std::string, std::string>;
FixedFields read_fixed(const std::vector<std::string>& texts, const std::string& where);  // "pp=4"

Schedule schedule_named(const std::string& text);  // "1f1b"; SpecError with the nearest
// Those of Megatron-Core.
inline const std::vector<Schedule> kUsualSchedules{Schedule::one_f_one_b, Schedule::interleaved};

class LayoutSpace {
 public:
  // `scenario` asks about training, its global batch known; it outlives this. A fixed schedule replaces `schedules`.
  LayoutSpace(const Scenario& scenario, FixedFields fixed, std::vector<Schedule> schedules = kUsualSchedules);

  // Always in the same order.
  std::vector<LayoutFamily> families() const;
  std::vector<Layout> members(const LayoutFamily& family, ReasonCounts& refused) const;

 private:
  bool free(const std::string& field, std::int64_t value) const;
  bool free(const std::string& field, std::string_view value) const;
  struct Order {
    Schedule schedule;
    std::int64_t vpp;
  };
  std::vector<Order> orders(std::int64_t pp) const;

  const Scenario& scenario_;
  FixedFields fixed_;
  std::vector<Schedule> schedules_;
  std::int64_t devices_, near_, layers_, experts_ = 1;  // near_: devices of the innermost tier
};

// The scenario's workload in this layout; what it leaves open follows the layout.
TrainWorkload workload_of(const Scenario& scenario, const Layout& layout);

// "ep=3 does not divide the 8 experts" -> "ep=N does not divide the N experts", so that reasons can be counted.
std::string kind_of_reason(const Infeasible& why);

}  // namespace moeline
