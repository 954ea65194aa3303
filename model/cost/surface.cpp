#include "cost/surface.hpp"

#include <algorithm>
#include <array>

#include "error.hpp"

namespace moeline {
namespace {

struct Cell {
  std::size_t below = 0;
  double above_share = 0;
};

Cell locate(const std::vector<double>& knots, double x) {
  const double inside = std::clamp(x, knots.front(), knots.back());
  const auto after = std::upper_bound(knots.begin() + 1, knots.end() - 1, inside);
  const auto below = static_cast<std::size_t>(after - knots.begin()) - 1;
  return {below, (inside - knots[below]) / (knots[below + 1] - knots[below])};
}

// Calls visit(grid index, weight) for the corners of the cell around x.
template <class Visit>
void for_corners(const Surface& surface, std::span<const double> x, Visit visit) {
  const std::size_t axes = surface.knots.size();
  MOELINE_EXPECT(axes <= Surface::kMostAxes && x.size() == axes);
  std::array<Cell, Surface::kMostAxes> cells;
  for (std::size_t axis = 0; axis < axes; ++axis) cells[axis] = locate(surface.knots[axis], x[axis]);
  for (std::size_t corner = 0; corner < (std::size_t{1} << axes); ++corner) {
    std::size_t index = 0;
    double weight = 1;
    for (std::size_t axis = 0; axis < axes; ++axis) {
      const bool above = ((corner >> axis) & 1) != 0;
      index = index * surface.knots[axis].size() + cells[axis].below + (above ? 1 : 0);
      weight *= above ? cells[axis].above_share : 1 - cells[axis].above_share;
    }
    visit(index, weight);
  }
}

}  // namespace

double Surface::at(std::span<const double> x) const {
  if (empty()) return 0;
  double sum = 0;
  for_corners(*this, x, [&](std::size_t index, double weight) { sum += weight * values[index]; });
  return sum;
}

std::vector<double> grid_weights(const Surface& surface, std::span<const double> x) {
  std::size_t points = 1;
  for (const std::vector<double>& axis : surface.knots) points *= axis.size();
  std::vector<double> weights(points);
  for_corners(surface, x, [&](std::size_t index, double weight) { weights[index] += weight; });
  return weights;
}

}  // namespace moeline
