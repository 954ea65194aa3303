// How much may be computed again in backward, to keep less until then? Named choices, from nothing to everything.
#pragma once

#include <array>
#include <string_view>
#include <vector>

#include "spec/workload.hpp"

namespace moeline {

// none, selective (core attention), light (what is cheap to compute again), full.
struct Recomputation {
  std::string_view name;
  bool full = false;
  EnumSet<Recompute> parts{};
};

// What a search tries.
inline constexpr std::array kRecomputations{
    Recomputation{"none"}, Recomputation{"selective", false, {Recompute::core_attn}},
    Recomputation{"light", false, {Recompute::layernorm, Recompute::moe_act, Recompute::mla_up_proj}},
    Recomputation{"full", true}};

// Where a workload leaves it open ("auto"): what is taken in turn until the step fits, dearer and dearer. Attention scores
// that go through memory are by far the most that a pass of little time brings back.
std::vector<Recomputation> recomputations_to_fit(const TrainWorkload& workload);

TrainWorkload with(const TrainWorkload& workload, const Recomputation& recomputation);

}  // namespace moeline
