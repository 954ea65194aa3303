// Which correction surface explains what the physics left over, without following single rows?
//
// Ridge least squares on log(measured / predicted) at the grid points, reweighted so that a 3x outlier pulls like a 10
// % one. The ridge (3 rows' worth per grid point) draws knots that few rows reach to zero: no correction.
#pragma once

#include <span>
#include <vector>

#include "cost/surface.hpp"

namespace moeline {

// `log_ratios` are log(predicted / measured) of the rows; `coordinates` those of all rows of the family.
Surface fit_surface(Surface axes, const std::vector<std::vector<double>>& coordinates,
                    const std::vector<std::size_t>& rows, std::span<const double> log_ratios);

}  // namespace moeline
