#include "validate/bench.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>

namespace moeline {
namespace {

constexpr std::size_t kFewestForTrend = 64;

// Between neighbours in order, as everywhere: 0 the smallest, 1 the largest.
double quantile_of_sorted(const std::vector<double>& sorted, double share) {
  const double at = share * static_cast<double>(sorted.size() - 1);
  const auto low = static_cast<std::size_t>(at);
  const std::size_t high = std::min(low + 1, sorted.size() - 1);
  return sorted[low] + (at - static_cast<double>(low)) * (sorted[high] - sorted[low]);
}

struct Line {
  double slope, explained;  // explained: R^2; 1 where there is nothing to explain
};
Line regression(const std::vector<double>& y, std::size_t first) {
  const auto n = static_cast<double>(y.size() - first);
  double mean = 0, xx = 0, xy = 0, yy = 0;
  for (std::size_t i = first; i < y.size(); ++i) mean += y[i] / n;
  for (std::size_t i = first; i < y.size(); ++i) {
    const double dx = static_cast<double>(i - first) - (n - 1) / 2, dy = y[i] - mean;
    xx += dx * dx;
    xy += dx * dy;
    yy += dy * dy;
  }
  return {xy / xx, yy > 1e-12 ? xy * xy / (xx * yy) : 1};
}

double since(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

void warm_up(Run& run, Caches caches, double seconds) {
  const auto begin = std::chrono::steady_clock::now();
  for (int calls = 0; calls < 3 || since(begin) < seconds; ++calls) run.sample(caches);
}

// What others disturbed least is nearest to what the machine does alone.
std::vector<double> quickest_quarter(std::vector<double> times) {
  std::ranges::sort(times);
  times.resize(std::min(times.size(), std::max<std::size_t>(3, times.size() / 4)));
  return times;
}

}  // namespace

Statistics statistics(std::vector<double> samples) {
  std::ranges::sort(samples);
  return {samples.front(), quantile_of_sorted(samples, 0.1), quantile_of_sorted(samples, 0.5),
          quantile_of_sorted(samples, 0.9), samples.size()};
}

void SpreadRule::add(double seconds) {
  total_ += seconds;
  const auto n = static_cast<double>(deviations_.size() + 1);
  const double before = seconds - mean_;
  mean_ += before / n;
  squares_ += before * (seconds - mean_);
  deviations_.push_back(n > 1 ? std::sqrt(squares_ / (n - 1)) / mean_ : 1);
}

bool SpreadRule::finished() const {
  const std::size_t n = deviations_.size();
  if (total_ < least_seconds_ || n < 2) return false;
  if (deviations_.back() / std::sqrt(static_cast<double>(n)) < noise_) return true;
  if (n < kFewestForTrend) return false;
  const auto [low, high] =
      std::minmax_element(deviations_.end() - static_cast<std::ptrdiff_t>(n / 2), deviations_.end());
  return *high - *low < 0.05 * deviations_.back();
}

void EntropyRule::add(double seconds) {
  const auto plogp = [](std::size_t count) {
    return count > 0 ? static_cast<double>(count) * std::log2(static_cast<double>(count)) : 0;
  };
  std::size_t& count = seen_[std::lround(std::log(seconds) / 0.005)];
  sum_ += plogp(count + 1) - plogp(count);
  ++count;
  ++n_;
  entropies_.push_back(std::log2(static_cast<double>(n_)) - sum_ / static_cast<double>(n_));
}

bool EntropyRule::finished() const {
  if (n_ < kFewestForTrend || n_ % 2 != 0) return false;
  constexpr double kFlat = 0.048 / 180 * 3.14159265;  // radians
  const Line line = regression(entropies_, n_ / 2);
  return std::atan(std::fabs(line.slope)) <= kFlat && (line.explained >= 0.36 || std::fabs(line.slope) < 1e-4);
}

Timing time_run(Run& run, Caches caches, const Effort& effort, bool multimodal) {
  warm_up(run, caches, effort.warm_up);
  SpreadRule spread(effort.least_seconds, effort.noise);
  EntropyRule entropy;
  std::vector<double> times, disturbed, clocks;
  const auto begin = std::chrono::steady_clock::now();
  const auto content = [&] {
    return times.size() >= effort.least_samples && (multimodal ? entropy.finished() : spread.finished());
  };
  while (!content() && (since(begin) < effort.most_seconds || times.size() + disturbed.size() < 3)) {
    const Sample sample = run.sample(caches);
    if (sample.clock_hz > 0) clocks.push_back(sample.clock_hz);
    (sample.disturbed ? disturbed : times).push_back(sample.seconds);
    if (sample.disturbed) continue;
    spread.add(sample.seconds);
    entropy.add(sample.seconds);
  }
  const double share = static_cast<double>(disturbed.size()) / static_cast<double>(times.size() + disturbed.size());
  if (times.size() < kFewestUndisturbed) {
    times.insert(times.end(), disturbed.begin(), disturbed.end());
    times = quickest_quarter(std::move(times));
  }
  return {.seconds = statistics(std::move(times)),
          .disturbed = share,
          .clock_hz = clocks.empty() ? 0 : statistics(std::move(clocks)).median};
}

}  // namespace moeline
