// Which draft length, cache and backup make the users of a deployment quickest, and what do the others lose by?
//
//   time of a token = (verification + waiting for the draft and its messages) / tokens of a round
// The batch is that which the scenario settles at when all three are left open, whatever it says of them, but for what is
// fixed. A round that lost counts under whichever of the three costs it most against the best.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "cost/calibration.hpp"
#include "plan/serving/speculative_rounds.hpp"
#include "spec/scenario.hpp"

namespace moeline {

struct SpeculationSearch {
  double sequences = 0, context = 0;  // of a worker that decodes, on the mean
  std::int64_t devices = 0;           // of it and its draft
  std::vector<DecodeRound> rounds{};  // quickest first
  std::map<std::string, std::int64_t> lost{};

  double tokens_per_second_per_device(const DecodeRound& round) const {
    return sequences / round.token().in(second) / static_cast<double>(devices);
  }
};

// Which of the three stay as the scenario has them.
struct FixedOfRounds {
  bool draft_tokens = false, cache_slots = false, backup = false;
};

std::string_view loses_by(const DecodeRound& round, const DecodeRound& best);

// Of a scenario that serves with a draft; SpecError for any other.
std::variant<SpeculationSearch, Infeasible> search_speculation(const Scenario& scenario, const Calibration& calibration,
                                                               const FixedOfRounds& fixed = {});

}  // namespace moeline
