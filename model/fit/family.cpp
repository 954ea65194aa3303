#include "fit/family.hpp"

#include <cmath>

namespace moeline {
namespace {

constexpr std::size_t kRows = 1500, kFoldRows = 800;
constexpr int kFolds = 5;

}  // namespace

FamilyFit fit_family(const FamilyData& data) {
  FamilyFit result{.key = data.key, .parameters = data.parameters, .domain = data.domain, .skipped = data.skipped};
  const std::size_t count = data.observations.measured.size();
  result.fit = fit(data.parameters, data.observations, sample(count, kRows, 0), data.starts);
  std::vector<double> inside;
  for (std::size_t row = 0; row < count; ++row) {
    inside.push_back(std::log(data.observations.predicted(result.fit.values, row) / data.observations.measured[row]));
  }
  result.fitted = summarise(inside);
  const std::vector<double> outside =
      cross_validated(data.parameters, data.observations, data.group, kFolds, kFoldRows, data.starts);
  result.held_out = summarise(outside);
  result.spread = band(outside);
  return result;
}

}  // namespace moeline
