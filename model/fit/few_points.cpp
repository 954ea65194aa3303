#include "fit/few_points.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "error.hpp"
#include "fit/device_names.hpp"
#include "fit/gemm_data.hpp"

namespace moeline {
namespace {

constexpr double kStep = 0.05;  // of an elasticity, in log units: wide enough to cross a tile boundary
constexpr double kPrior = 1;

std::vector<std::size_t> positions(const std::vector<Parameter>& parameters, const std::vector<std::string>& names) {
  std::vector<std::size_t> at;
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    if (std::ranges::find(names, parameters[i].name) != names.end()) at.push_back(i);
  }
  return at;
}

void expect_same_parameters(const FamilyFit& base, const FamilyData& data) {
  const bool same = base.fit.values.size() == data.parameters.size() &&
                    std::ranges::equal(base.parameters, data.parameters, {}, &Parameter::name, &Parameter::name);
  if (!same) {
    throw SpecError(base.key.operation + " " + base.key.library + " " + base.key.dtype,
                    "the base page has not the parameters of the measurements' family");
  }
}

// The scaled parameters alone, starting from the base page and bounded as the family is.
std::vector<Parameter> scaled_parameters(const FamilyFit& base, const FamilyData& data,
                                         const std::vector<std::size_t>& at) {
  std::vector<Parameter> list;
  for (const std::size_t i : at) {
    Parameter p = data.parameters[i];
    p.start = std::clamp(base.fit.values[i], p.low, p.high);
    p.prior = kPrior;
    list.push_back(p);
  }
  return list;
}

Predictor scaled_predictor(const FamilyFit& base, const FamilyData& data, std::vector<std::size_t> at) {
  return [&base, &data, at = std::move(at)](std::span<const double> v, std::size_t row) {
    std::vector<double> values = base.fit.values;
    for (std::size_t i = 0; i < at.size(); ++i) values[at[i]] = v[i];
    const double correction = base.surface.empty() ? 0 : base.surface.at(data.coordinates[row]);
    return data.observations.predicted(values, row) * std::exp(correction);
  };
}

// Log residuals of rows that the fit did not see.
std::vector<double> unseen(const FamilyData& data, const std::vector<Parameter>& scaled, const Predictor& predicted,
                           const std::vector<std::size_t>& rows, const std::vector<double>& values) {
  const std::size_t count = data.observations.measured.size();
  std::vector<double> residuals;
  if (count >= 2 * rows.size()) {
    for (std::size_t row = 0; row < count; ++row) {
      if (std::ranges::find(rows, row) != rows.end()) continue;
      residuals.push_back(std::log(predicted(values, row) / data.observations.measured[row]));
    }
    return residuals;
  }
  FamilyData chosen{.key = data.key, .parameters = scaled};
  for (const std::size_t row : rows) {
    chosen.observations.measured.push_back(data.observations.measured[row]);
    chosen.group.push_back(data.group[row]);
  }
  chosen.observations.predicted = [&](std::span<const double> v, std::size_t i) { return predicted(v, rows[i]); };
  const FamilyFit folds = fit_family(chosen);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (folds.held_out_us[i] > 0) residuals.push_back(std::log(folds.held_out_us[i] / chosen.observations.measured[i]));
  }
  return residuals;
}

}  // namespace

std::vector<std::size_t> choose_points(const FamilyData& candidates, const std::vector<double>& values,
                                       std::size_t count, const std::vector<std::string>& factors) {
  const std::vector<std::size_t> at = positions(candidates.parameters, factors);
  MOELINE_EXPECT(!at.empty() && !candidates.group.empty());
  struct Candidate {
    double time;
    std::size_t row;
  };
  std::vector<std::vector<Candidate>> regimes(at.size());
  for (std::size_t row = 0; row < candidates.group.size(); ++row) {
    const double time = candidates.observations.predicted(values, row);
    std::size_t strongest = 0;
    double most = -1;
    for (std::size_t i = 0; i < at.size(); ++i) {
      std::vector<double> moved = values;
      moved[at[i]] *= std::exp(kStep);
      const double elasticity = std::abs(std::log(candidates.observations.predicted(moved, row) / time)) / kStep;
      if (elasticity > most) {
        most = elasticity;
        strongest = i;
      }
    }
    regimes[strongest].push_back({time, row});
  }
  // Small regimes first, so that what they leave over goes to the others.
  std::ranges::sort(regimes, {}, [](const std::vector<Candidate>& regime) { return regime.size(); });
  std::vector<std::size_t> chosen;
  for (std::size_t i = 0; i < regimes.size(); ++i) {
    std::vector<Candidate>& regime = regimes[i];
    std::ranges::sort(regime, [](const Candidate& a, const Candidate& b) {
      return a.time < b.time || (a.time == b.time && a.row < b.row);
    });
    const std::size_t left = count - std::min(count, chosen.size());
    const std::size_t share = std::min(regime.size(), left / (regimes.size() - i));
    for (std::size_t j = 0; j < share; ++j) chosen.push_back(regime[(2 * j + 1) * regime.size() / (2 * share)].row);
  }
  std::ranges::sort(chosen);
  return chosen;
}

FamilyFit few_point_page(const FamilyFit& measured, const FamilyData& data, const std::vector<std::size_t>& rows,
                         const std::vector<std::string>& factors) {
  expect_same_parameters(measured, data);
  FamilyFit base = measured;
  // What a surface corrects is the choice of kernels, which another generation does not share.
  if (is_blackwell(base.key.device) != is_blackwell(data.key.device)) base.surface = {};
  const std::vector<std::size_t> at = positions(data.parameters, factors);
  const std::vector<Parameter> scaled = scaled_parameters(base, data, at);
  const Observations observations{data.observations.measured, {}, scaled_predictor(base, data, at)};
  const Fit found = fit(scaled, observations, rows);

  FamilyFit page{.key = data.key, .parameters = data.parameters, .domain = data.domain, .skipped = data.skipped};
  page.surface = base.surface;
  page.fit.values = base.fit.values;
  page.fit.at_bound.assign(base.fit.values.size(), true);  // not identified by these rows
  page.fit.objective = found.objective;
  for (std::size_t i = 0; i < at.size(); ++i) {
    page.fit.values[at[i]] = found.values[i];
    page.fit.at_bound[at[i]] = found.at_bound[i];
  }
  std::vector<double> inside;
  for (const std::size_t row : rows) {
    inside.push_back(std::log(observations.predicted(found.values, row) / observations.measured[row]));
  }
  const std::vector<double> outside = unseen(data, scaled, observations.predicted, rows, found.values);
  page.fitted = summarise(inside);
  page.held_out = summarise(outside);
  page.spread = band(outside);
  return page;
}

std::vector<ProductShape> products_to_measure(const FamilyFit& base, const std::string& device, std::size_t count) {
  constexpr double kLargest = 16384;
  std::vector<GemmRow> grid;
  for (double m = 1; m <= kLargest; m *= 4) {
    for (double n = 256; n <= kLargest; n *= 2) {
      for (double k = 256; k <= kLargest; k *= 2) grid.push_back({m, n, k, 1 * microsecond});
    }
  }
  FamilyKey key = base.key;
  key.device = device;
  const DType format = dtype_named(key.dtype).value_or(DType::bf16);
  const FamilyData candidates = gemm_family(key, gpu_named(device), format, grid);
  std::vector<ProductShape> shapes;
  for (const std::size_t row : choose_points(candidates, base.fit.values, count)) {
    shapes.push_back({grid[row].m, grid[row].n, grid[row].k});
  }
  return shapes;
}

}  // namespace moeline
