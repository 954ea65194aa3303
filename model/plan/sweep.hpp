// Which scenarios does a sweep file ask about? Point number i is computed from i, so that a billion points take no
// memory.
//
//   {"scenario": {...}, "vary": {"/parallelism/ep": [16, 32], "/devices": "256..2048*2"}, "mode": "grid"}
//   grid              every combination; the last field varies fastest
//   zip               the first values of all fields, then the second ones...
//   random            N independent samples; latin_hypercube: N samples, each field's N-quantiles hit once
// A sample depends on seed, field and number alone (splitmix64; the hypercube's permutation is a Feistel network).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "plan/axis.hpp"

namespace moeline {

enum class SweepOrder { grid, zip, random, latin_hypercube };

struct Sweep {
  Json scenario;
  std::vector<Axis> axes;
  SweepOrder order = SweepOrder::grid;
  std::uint64_t samples = 0, seed = 1;

  std::uint64_t points() const;
  // What the varied fields are at a point, in the order of `axes`.
  std::vector<Json> values(std::uint64_t point) const;
};

Sweep read_sweep(const Json& json, const std::string& origin);

// The scenario with the varied fields set, and with one of them set.
Json scenario_with(const Sweep& sweep, const std::vector<Json>& values, const std::string& origin);
void set_value(Json& scenario, const Axis& axis, const Json& value, const std::string& origin);

// The place of `index` in a pseudo-random order of 0 .. size-1: a permutation for every seed.
std::uint64_t shuffled(std::uint64_t index, std::uint64_t size, std::uint64_t seed);

}  // namespace moeline
