// How long does it take, and when is that known well enough?
//
//   warm-up      >= 3 calls and >= `warm_up` seconds: clocks rise, pages are mapped, code is loaded
//   samples      until the rule is content, and at most `most_seconds`; disturbed ones (backend.hpp) count only where
//                the others are fewer than kFewestUndisturbed, and then the quickest quarter of all
//   rules        spread   total >= `least_seconds` and standard deviation of the mean time < `noise`, or that deviation
//   no
//                         longer changing: within 5 % over the last half of 64 or more samples
//                entropy  the entropy of the times seen so far has become flat: slope of its regression over the last
//                half
//                         below 0.048 degrees with R^2 >= 0.36, or no slope at all; for times with several modes
// Rules look at times alone, so they are tested with lists of numbers. After the criteria of NVIDIA's nvbench, written
// anew.
#pragma once

#include <map>
#include <vector>

#include "validate/backend.hpp"

namespace moeline {

struct Statistics {
  double minimum = 0, p10 = 0, median = 0, p90 = 0;
  std::size_t n = 0;
  double noise() const { return median > 0 ? (p90 - p10) / median : 0; }
};
Statistics statistics(std::vector<double> samples);  // of at least one

class SpreadRule {
 public:
  SpreadRule(double least_seconds, double noise) : least_seconds_(least_seconds), noise_(noise) {}
  void add(double seconds);
  bool finished() const;

 private:
  double least_seconds_, noise_;
  double total_ = 0, squares_ = 0;  // squares of distances from the running mean
  double mean_ = 0;
  std::vector<double> deviations_;  // relative, after every sample
};

class EntropyRule {
 public:
  void add(double seconds);
  bool finished() const;

 private:
  std::map<long, std::size_t> seen_;  // times to 0.5 %, how often
  std::size_t n_ = 0;
  double sum_ = 0;  // of c log2 c over `seen_`
  std::vector<double> entropies_;
};

inline constexpr std::size_t kFewestUndisturbed = 3;

struct Effort {
  double warm_up = 0.05, least_seconds = 0.1, most_seconds = 1;
  double noise = 0.005;
  std::size_t least_samples = 10;
};

struct Timing {
  Statistics seconds;
  double disturbed = 0;  // share of the samples that were, used or not
  double clock_hz = 0;   // median of those used
};
// `multimodal` takes the entropy rule. The clock that ends the sampling is the sum of samples and of what surrounds
// them.
Timing time_run(Run& run, Caches caches, const Effort& effort, bool multimodal);

}  // namespace moeline
