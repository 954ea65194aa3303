#include "fit/family.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "fit/surface_fit.hpp"

namespace moeline {
namespace {

constexpr std::size_t kRows = 1500, kFoldRows = 800;
constexpr int kFolds = 5;
// A surface must pay for its knots: it stays only if the held-out mean falls by 2 % of itself.
constexpr double kSurfaceGain = 0.98;
constexpr std::size_t kClassRows = 60, kMostClasses = 4;
constexpr std::size_t kDecadeRows = 30;

using Rows = std::vector<std::size_t>;

// Parameters fitted on some of the rows, the surface on all of them: it is linear and cheap.
struct Learnt {
  Fit fit;
  Surface surface;
};

double log_ratio(const FamilyData& data, std::span<const double> values, std::size_t row) {
  return std::log(data.observations.predicted(values, row) / data.observations.measured[row]);
}

Rows drawn(const Rows& from, std::size_t most, unsigned seed) {
  Rows rows;
  for (const std::size_t i : sample(from.size(), most, seed)) rows.push_back(from[i]);
  return rows;
}

Learnt learn(const FamilyData& data, const Rows& rows, std::size_t most, unsigned seed) {
  Learnt learnt{.fit = fit(data.parameters, data.observations, drawn(rows, most, seed), data.starts)};
  if (data.surface.axes.empty()) return learnt;
  std::vector<double> left;
  for (const std::size_t row : rows) left.push_back(log_ratio(data, learnt.fit.values, row));
  learnt.surface = fit_surface(data.surface, data.coordinates, rows, left);
  return learnt;
}

// log(predicted / measured) of every row by physics alone, and what a surface would add to it.
struct Residuals {
  std::vector<double> physics, surface;
  Rows rows;  // those that some fit had not seen

  std::vector<double> total(bool with_surface) const {
    std::vector<double> sum;
    for (const std::size_t row : rows) sum.push_back(physics[row] + (with_surface ? surface[row] : 0));
    return sum;
  }
};

void test(const FamilyData& data, const Learnt& learnt, const Rows& rows, Residuals& residuals) {
  for (const std::size_t row : rows) {
    residuals.physics[row] = log_ratio(data, learnt.fit.values, row);
    if (!learnt.surface.empty()) residuals.surface[row] = learnt.surface.at(data.coordinates[row]);
    residuals.rows.push_back(row);
  }
}

Residuals no_residuals(const FamilyData& data) {
  const std::size_t count = data.observations.measured.size();
  return {std::vector<double>(count), std::vector<double>(count), {}};
}

Residuals held_out(const FamilyData& data, const std::vector<int>& fold_of) {
  Residuals residuals = no_residuals(data);
  for (int fold = 0; fold < kFolds; ++fold) {
    Rows inside, outside;
    for (std::size_t row = 0; row < fold_of.size(); ++row) (fold_of[row] == fold ? outside : inside).push_back(row);
    if (outside.empty() || inside.empty()) continue;
    test(data, learn(data, inside, kFoldRows, static_cast<unsigned>(fold) + 1), outside, residuals);
  }
  std::sort(residuals.rows.begin(), residuals.rows.end());
  return residuals;
}

ErrorSummary next_decade(const FamilyData& data, bool with_surface) {
  if (data.size.empty()) return {};
  const double edge = *std::max_element(data.size.begin(), data.size.end()) / 10;
  Rows below, above;
  for (std::size_t row = 0; row < data.size.size(); ++row) (data.size[row] > edge ? above : below).push_back(row);
  if (below.size() < kDecadeRows || above.size() < kDecadeRows) return {};
  Residuals residuals = no_residuals(data);
  test(data, learn(data, below, kFoldRows, 0), above, residuals);
  return summarise(residuals.total(with_surface));
}

// A band that a few groups gave misses more of the next group's rows than of their own: it is stretched about its middle
// until the folds, each judged by the others' band, hold four rows of five.
constexpr double kWanted = 0.8, kMostStretch = 2.5, kStretchStep = 1.02;

Band stretched(Band band, double factor) {
  const double middle = (band.low + band.high) / 2, half = factor * (band.high - band.low) / 2;
  return {middle - half, middle + half};
}

struct Covered {
  Band spread;
  double share = 0;
};

Covered cover(const std::vector<double>& all, const std::vector<std::vector<double>>& own, const std::vector<std::vector<double>>& others) {
  std::vector<Band> bands;
  for (const std::vector<double>& rows : others) bands.push_back(band(rows));
  Covered result{.spread = band(all)};
  for (double factor = 1; factor < kMostStretch && result.share < kWanted; factor *= kStretchStep) {
    double inside = 0;
    for (std::size_t fold = 0; fold < own.size(); ++fold) {
      inside += coverage(own[fold], stretched(bands[fold], factor)) * static_cast<double>(own[fold].size());
    }
    result.share = inside / static_cast<double>(all.size());
    result.spread = stretched(band(all), factor);
  }
  return result;
}

// Classes of equal counts by predicted time.
std::vector<SizeClass> size_classes(const std::vector<double>& ratios, const std::vector<double>& predicted,
                                    const std::vector<int>& fold_of) {
  const std::size_t count = std::clamp<std::size_t>(ratios.size() / kClassRows, 1, kMostClasses);
  std::vector<SizeClass> classes(count);
  for (std::size_t c = 1; c < count; ++c)
    classes[c].above_us = quantile(predicted, static_cast<double>(c) / static_cast<double>(count));
  for (std::size_t c = 0; c < count; ++c) {
    std::vector<double> all;
    std::vector<std::vector<double>> own(kFolds), others(kFolds);
    for (std::size_t i = 0; i < ratios.size(); ++i) {
      if (predicted[i] < classes[c].above_us || (c + 1 < count && predicted[i] >= classes[c + 1].above_us)) continue;
      all.push_back(ratios[i]);
      for (int fold = 0; fold < kFolds; ++fold)
        (fold_of[i] == fold ? own : others)[static_cast<std::size_t>(fold)].push_back(ratios[i]);
    }
    if (all.empty()) continue;
    const ErrorSummary summary = summarise(all);
    const Covered covered = cover(all, own, others);
    classes[c].n = summary.n;
    classes[c].mean = summary.mean;
    classes[c].bias = summary.bias;
    classes[c].spread = covered.spread;
    classes[c].coverage = covered.share;
  }
  return classes;
}

}  // namespace

FamilyFit fit_family(const FamilyData& data) {
  FamilyFit page{.key = data.key, .parameters = data.parameters, .domain = data.domain, .skipped = data.skipped};
  const std::size_t count = data.observations.measured.size();
  Rows all(count);
  std::iota(all.begin(), all.end(), std::size_t{0});
  Learnt learnt = learn(data, all, kRows, 0);
  page.fit = std::move(learnt.fit);

  const std::vector<int> fold_of = folds(data.group, kFolds);
  const Residuals unseen = held_out(data, fold_of);
  const ErrorSummary physics = summarise(unseen.total(false)), corrected = summarise(unseen.total(true));
  const bool with_surface =
      !learnt.surface.empty() && unseen.rows.size() == count && corrected.mean < kSurfaceGain * physics.mean;
  if (with_surface) page.surface = std::move(learnt.surface);
  const std::vector<double> ratios = unseen.total(with_surface);
  page.fitted = summarise(log_ratios(data, page));
  page.held_out = with_surface ? corrected : physics;
  page.next_decade = next_decade(data, with_surface);

  std::vector<double> predicted;
  std::vector<int> fold_of_ratio;
  page.held_out_us.resize(count);
  for (std::size_t i = 0; i < ratios.size(); ++i) {
    const std::size_t row = unseen.rows[i];
    predicted.push_back(data.observations.measured[row] * std::exp(ratios[i]));
    page.held_out_us[row] = predicted.back();
    fold_of_ratio.push_back(fold_of[row]);
  }
  page.spread = band(ratios.empty() ? log_ratios(data, page) : ratios);
  page.classes = size_classes(ratios, predicted, fold_of_ratio);
  for (const SizeClass& c : page.classes) {
    if (!ratios.empty()) page.coverage += c.coverage * static_cast<double>(c.n) / static_cast<double>(ratios.size());
  }
  return page;
}

std::vector<double> log_ratios(const FamilyData& data, const FamilyFit& page, Conditions conditions) {
  const Predictor& predicted = conditions == Conditions::step && data.in_step ? data.in_step : data.observations.predicted;
  std::vector<double> ratios;
  for (std::size_t row = 0; row < data.observations.measured.size(); ++row) {
    ratios.push_back(std::log(predicted(page.fit.values, row) / data.observations.measured[row]) +
                     (page.surface.empty() ? 0 : page.surface.at(data.coordinates[row])));
  }
  return ratios;
}

}  // namespace moeline
