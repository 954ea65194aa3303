// Scores N(mu_j, 1) with mu_j ~ N(0, 1), and how even alternating quantiles make them: ours, and as simulated independently.
#pragma once

#include <array>
#include <cmath>
#include <vector>

#include "routing/imbalance.hpp"
#include "routing/quantile.hpp"
#include "spec/popularity.hpp"

namespace moeline {

class Normals {
 public:
  explicit Normals(std::uint64_t seed) : random_(seed) {}
  double next() {  // Box-Muller gives two
    if (has_other_) return has_other_ = false, other_;
    const double radius = std::sqrt(-2 * std::log(1 - random_.next())), angle = 2 * std::acos(-1.0) * random_.next();
    has_other_ = true;
    other_ = radius * std::sin(angle);
    return radius * std::cos(angle);
  }

 private:
  Random random_;
  double other_ = 0;
  bool has_other_ = false;
};

inline std::vector<float> normal_scores(std::size_t tokens, std::size_t experts, std::uint64_t seed) {
  Normals normals(seed);
  std::vector<double> mean(experts);
  for (double& m : mean) m = normals.next();
  std::vector<float> values(tokens * experts);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(mean[i % experts] + normals.next());
  return values;
}

// MaxVio of a batch at prices after 0 .. `most` alternations over it.
inline std::vector<double> violations(const RouterScores& scores, int most) {
  std::vector<float> prices(scores.experts);
  std::vector<double> found{max_violation(route(scores, prices).loads)};
  for (int t = 1; t <= most; ++t) {
    prices = next_prices(scores, prices);
    found.push_back(max_violation(route(scores, prices).loads));
  }
  return found;
}

struct Convergence {
  std::size_t tokens, experts, top_k;
  std::array<double, 6> first;  // MaxVio after 0 .. 5
  double tenth;
};
inline constexpr std::array kConvergence{
    Convergence{16384, 64, 4, {7.37, .263, .065, .0215, .0117, .0078}, .0049},
    Convergence{65536, 256, 8, {23.6, .166, .035, .0127, .0093, .0068}, .0034},
    Convergence{65536, 896, 16, {48.2, .115, .0245, .0134, .0100, .0074}, .0049},
};

}  // namespace moeline
