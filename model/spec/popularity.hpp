// How popular are experts? Shares drawn from a distribution, or read from a file; the same on every machine.
#pragma once

#include <cmath>
#include <cstdint>
#include <random>
#include <string>

#include "spec/routing.hpp"

namespace moeline {

// Uniform numbers in [0, 1), the same with every standard library.
class Random {
 public:
  explicit Random(std::uint64_t seed) : engine_(seed) {}
  double next() { return static_cast<double>(engine_() >> 11) * 0x1p-53; }

 private:
  std::mt19937_64 engine_;
};

// x^-exponent between low and high, by inverting its distribution function.
inline double power_law_draw(double low, double high, double exponent, double uniform) {
  if (std::abs(exponent - 1) < 1e-9) return low * std::pow(high / low, uniform);
  const double power = 1 - exponent, from = std::pow(low, power), to = std::pow(high, power);
  return std::pow((to - from) * uniform + from, 1 / power);
}

// `rows` draws; of power_law, zipf or dirichlet.
ExpertShares draw_shares(const Routing& routing, std::size_t experts, std::size_t rows, std::uint64_t seed);

// CSV: rows of as many numbers as there are experts, one per layer; or, under the header `layer,expert`, a trace with
// one line per choice. SpecError names line and column of what it cannot use.
ExpertShares read_shares(const std::string& path, std::size_t experts);

}  // namespace moeline
