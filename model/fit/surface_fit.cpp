#include "fit/surface_fit.hpp"

#include <Eigen/Cholesky>
#include <algorithm>
#include <cmath>

#include "error.hpp"

namespace moeline {
namespace {

constexpr double kRidge = 3;
constexpr double kRobust = 0.1;  // log residual above which a row's pull stops growing
constexpr int kReweightings = 6;

}  // namespace

Surface fit_surface(Surface axes, const std::vector<std::vector<double>>& coordinates,
                    const std::vector<std::size_t>& rows, std::span<const double> log_ratios) {
  MOELINE_EXPECT(rows.size() == log_ratios.size());
  Eigen::Index points = 1;
  for (const std::vector<double>& axis : axes.knots) points *= static_cast<Eigen::Index>(axis.size());
  const auto count = static_cast<Eigen::Index>(rows.size());
  Eigen::MatrixXd basis(count, points);
  Eigen::VectorXd wanted(count);
  for (Eigen::Index i = 0; i < count; ++i) {
    const auto row = static_cast<std::size_t>(i);
    const std::vector<double> weights = grid_weights(axes, coordinates[rows[row]]);
    basis.row(i) = Eigen::Map<const Eigen::RowVectorXd>(weights.data(), points);
    wanted[i] = -log_ratios[row];
  }
  Eigen::VectorXd weight = Eigen::VectorXd::Ones(count), values = Eigen::VectorXd::Zero(points);
  for (int i = 0; i < kReweightings; ++i) {
    const Eigen::MatrixXd weighted = basis.transpose() * weight.asDiagonal();
    const Eigen::MatrixXd normal = weighted * basis + kRidge * Eigen::MatrixXd::Identity(points, points);
    values = normal.ldlt().solve(weighted * wanted);
    const Eigen::VectorXd left = (wanted - basis * values).cwiseAbs();
    weight = (left / kRobust).cwiseMax(1).cwiseInverse();
  }
  axes.values.assign(values.data(), values.data() + points);
  return axes;
}

}  // namespace moeline
