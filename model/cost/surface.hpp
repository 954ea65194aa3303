// What physics left over, as a smooth function of a few sizes: the correction of a calibration page.
//
//   corrected = predicted x exp(surface(x))      x: log2 of the sizes the page names (m, n, k; tokens, weight bytes)
// Multilinear between a few knots an axis, held at the edge value outside them, so that it never extrapolates.
#pragma once

#include <span>
#include <string>
#include <vector>

namespace moeline {

struct Surface {
  std::vector<std::string> axes;           // "m", "n", "k"
  std::vector<std::vector<double>> knots;  // per axis, ascending, log2
  std::vector<double> values;  // log(measured / predicted) at the grid points, last axis fastest; empty: none

  bool empty() const { return values.empty(); }
  // At most kMostAxes coordinates; 0 for an empty surface.
  double at(std::span<const double> x) const;
  static constexpr std::size_t kMostAxes = 4;
};

// Weight of every grid point at x: the rows of the least-squares problem that finds the values.
std::vector<double> grid_weights(const Surface& surface, std::span<const double> x);

}  // namespace moeline
