// A step is a thin list of ops in issue order; lanes run side by side, `after` says what must finish first.
//
//   compute  ──norm──router──permute────────────────experts──...
//   network  ────────────────────────dispatch───────────────combine
#pragma once

#include <array>
#include <string_view>
#include <vector>

#include "ops/work.hpp"

namespace moeline {

enum class Lane { compute, network };
enum class Phase { forward, backward, recompute, optimizer, prefill, decode };

// Which switch of selective recomputation an op belongs to.
enum class Part { other, core_attention, norm, moe_activation, mla_up_projection, dense_ffn, moe, shared_expert };

struct Op {
  std::string_view name;            // static text: "gate+up"
  std::string_view group;           // what it is summed under in a breakdown: "expert GEMM"
  Phase phase = Phase::forward;
  Part part = Part::other;
  bool in_moe = false;              // part of the MoE block, for `recompute: moe`
  Lane lane = Lane::compute;
  Work work;
  std::array<int, 3> after{-1, -1, -1};  // indices of ops that must have finished
};

using Step = std::vector<Op>;

std::string_view name(Lane lane);
std::string_view name(Phase phase);

}  // namespace moeline
