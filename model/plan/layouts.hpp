// Which cuts of a model over a cluster are legal, before anything is priced?
//
//   tp, etp   divisors of the devices, inside the innermost tier (NVLink); tp divides the heads, by `resolve`
//   cp, pp    divisors of what is left; dp is the rest;  ep divides the experts, etp x ep the ranks of a stage
//   vpp       where every chunk gets equally many layers, with or without embedding and loss as one each
//   zero 0..3, micro-batch 1, 2, 4 .. 16, recompute none, selective, of light parts, full
// A layout is legal when `resolve` says so and the micro-batches come out whole. What is not is counted by reason.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "spec/scenario.hpp"

namespace moeline {

struct Layout {
  Parallelism parallelism;
  std::int64_t micro_batch = 1;
  std::string recompute = "none";  // none, selective, light, full
};

using ReasonCounts = std::map<std::string, std::uint64_t>;

// Only layouts with these values; keys as in Layout: tp pp vpp ep etp cp dp zero micro_batch recompute.
using FixedFields = std::map<std::string, std::string>;
FixedFields read_fixed(const std::vector<std::string>& texts, const std::string& where);  // "pp=4"

// `scenario` asks about training, its global batch known. Always in the same order.
std::vector<Layout> legal_layouts(const Scenario& scenario, const FixedFields& fixed, ReasonCounts& refused);

// The scenario file with this layout in it.
Json with_layout(const Json& scenario, const Layout& layout);

// Weights, gradients and optimiser of an average stage: no cut of this layout holds less on its fullest stage.
Bytes least_memory(const Scenario& scenario, const Layout& layout);

// "ep=3 does not divide the 8 experts" -> "ep=N does not divide the N experts", so that reasons can be counted.
std::string kind_of_reason(const Infeasible& why);

}  // namespace moeline
