// Why can a step not run as it is cut, and what would help? Rules of batch, schedule and overlap; those of the cut itself are
// in spec/parallelism.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "error.hpp"
#include "spec/parallelism.hpp"
#include "spec/workload.hpp"

namespace moeline {

// The batch does not come out whole over the cut, whose dp is resolved, or is too small for the schedule.
std::optional<Infeasible> check_batch(const Parallelism& parallelism, const TrainWorkload& train);
// Two ways of pairing passes are asked for at once.
std::optional<Infeasible> check_overlap(const Parallelism& parallelism, const TrainWorkload& train);
// What to change where the memory part named overflows.
std::string memory_advice(std::string_view largest, const TrainWorkload& train);

}  // namespace moeline
