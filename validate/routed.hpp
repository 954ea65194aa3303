// What does every rank send to every other when a seeded router has chosen?
//
//   bytes[s][d] = load of the experts of d / ranks x row_bytes          ranks hold equal shares of the experts, in
//   order
// Loads come from routing/sampler, as the model's own do: even for exponent 0, else a power law with the hottest rank
// first. Every rank sends the same; what they receive differs.
#pragma once

#include <vector>

#include "validate/backend.hpp"

namespace moeline {

using ByteMatrix = std::vector<std::vector<std::size_t>>;  // [from][to]

// Of an all_to_all case: `kind` moe is routed, else `bytes` of a rank are cut evenly.
ByteMatrix exchanged_bytes(const Case& exchange);
// The most that a rank sends or receives, its own share included: the `bytes` of a routed record.
double busiest_rank(const ByteMatrix& bytes);

}  // namespace moeline
