#include "fit/regression.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>
#include <unsupported/Eigen/NonLinearOptimization>

#include "error.hpp"

namespace moeline {
namespace {

constexpr double kRobust = 0.08;
constexpr double kStep = 3e-3;  // of the finite difference, in log units: wide enough to cross a tile boundary
constexpr int kEvaluations = 40;

// Square root of the soft-L1 loss, signed, so that plain least squares on it is the robust fit.
double softened(double residual) {
  const double z = residual / kRobust;
  return std::copysign(kRobust * std::sqrt(2 * (std::sqrt(1 + z * z) - 1)), residual);
}

// x in (-inf, inf) -> value in (low, high), log-uniform in between.
double to_value(double x, const Parameter& p) {
  const double share = 0.5 * (1 + x / std::sqrt(1 + x * x));
  return p.low * std::pow(p.high / p.low, share);
}
double to_free(double value, const Parameter& p) {
  const double share = std::clamp(std::log(value / p.low) / std::log(p.high / p.low), 0.01, 0.99);
  const double y = 2 * share - 1;
  return y / std::sqrt(1 - y * y);
}

struct Problem {
  using Scalar = double;
  using InputType = Eigen::VectorXd;
  using ValueType = Eigen::VectorXd;
  using JacobianType = Eigen::MatrixXd;
  enum { InputsAtCompileTime = Eigen::Dynamic, ValuesAtCompileTime = Eigen::Dynamic };

  const std::vector<Parameter>& parameters;
  const Observations& observations;
  const std::vector<std::size_t>& rows;
  mutable std::vector<double> values_;

  int inputs() const { return static_cast<int>(parameters.size()); }
  int values() const { return static_cast<int>(rows.size() + parameters.size()); }

  void assign(const Eigen::VectorXd& x) const {
    values_.resize(parameters.size());
    for (std::size_t i = 0; i < parameters.size(); ++i)
      values_[i] = to_value(x[static_cast<Eigen::Index>(i)], parameters[i]);
  }

  int operator()(const Eigen::VectorXd& x, Eigen::VectorXd& residuals) const {
    assign(x);
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const std::size_t row = rows[i];
      const double weight = observations.weight.empty() ? 1 : observations.weight[row];
      const double ratio = observations.predicted(values_, row) / observations.measured[row];
      residuals[static_cast<Eigen::Index>(i)] = weight * softened(std::log(ratio));
    }
    for (std::size_t i = 0; i < parameters.size(); ++i) {
      residuals[static_cast<Eigen::Index>(rows.size() + i)] =
          parameters[i].prior * kRobust * std::log(values_[i] / parameters[i].start);
    }
    return 0;
  }

  int df(const Eigen::VectorXd& x, Eigen::MatrixXd& jacobian) const {
    Eigen::VectorXd here(values()), there(values()), moved = x;
    (*this)(x, here);
    for (Eigen::Index i = 0; i < x.size(); ++i) {
      const Parameter& p = parameters[static_cast<std::size_t>(i)];
      // A step of kStep in log value, translated to x.
      const double slope = std::log(p.high / p.low) * 0.5 / std::pow(1 + x[i] * x[i], 1.5);
      const double step = kStep / std::max(slope, 1e-3);
      moved[i] = x[i] + step;
      (*this)(moved, there);
      jacobian.col(i) = (there - here) / step;
      moved[i] = x[i];
    }
    return 0;
  }
};

Fit fit_once(const Problem& problem, const std::vector<double>& start) {
  Eigen::VectorXd x(problem.inputs());
  for (int i = 0; i < problem.inputs(); ++i) {
    x[i] = to_free(start[static_cast<std::size_t>(i)], problem.parameters[static_cast<std::size_t>(i)]);
  }
  Problem copy = problem;
  Eigen::LevenbergMarquardt<Problem> solver(copy);
  solver.parameters.maxfev = kEvaluations;
  solver.parameters.xtol = 1e-5;
  solver.parameters.ftol = 1e-6;
  solver.minimize(x);
  Fit result;
  Eigen::VectorXd residuals(copy.values());
  copy(x, residuals);
  result.values = copy.values_;
  result.objective = residuals.squaredNorm();
  return result;
}

}  // namespace

Fit fit(const std::vector<Parameter>& parameters, const Observations& observations,
        const std::vector<std::size_t>& rows, const std::vector<std::vector<double>>& starts) {
  MOELINE_EXPECT(!rows.empty() && !parameters.empty());
  const Problem problem{parameters, observations, rows, {}};
  std::vector<double> own;
  for (const Parameter& p : parameters) own.push_back(p.start);
  Fit best = fit_once(problem, own);
  for (const std::vector<double>& start : starts) {
    Fit candidate = fit_once(problem, start);
    if (candidate.objective < best.objective) best = std::move(candidate);
  }
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    const double share =
        std::log(best.values[i] / parameters[i].low) / std::log(parameters[i].high / parameters[i].low);
    best.at_bound.push_back(share < 0.02 || share > 0.98);
  }
  return best;
}

std::vector<std::size_t> sample(std::size_t count, std::size_t most, unsigned seed) {
  std::vector<std::size_t> all(count);
  std::iota(all.begin(), all.end(), std::size_t{0});
  if (count <= most) return all;
  std::mt19937 random(seed);
  for (std::size_t i = 0; i < most; ++i) {  // own shuffle: std::shuffle differs between libraries
    std::swap(all[i], all[i + random() % (count - i)]);
  }
  all.resize(most);
  std::sort(all.begin(), all.end());
  return all;
}

std::vector<int> folds(const std::vector<int>& group, int count) {
  std::vector<int> groups(group);
  std::sort(groups.begin(), groups.end());
  groups.erase(std::unique(groups.begin(), groups.end()), groups.end());
  std::mt19937 random(7);
  for (std::size_t i = groups.size(); i > 1; --i) std::swap(groups[i - 1], groups[random() % i]);
  std::vector<int> fold_of_group(
      groups.empty() ? 0 : static_cast<std::size_t>(*std::max_element(groups.begin(), groups.end())) + 1);
  for (std::size_t i = 0; i < groups.size(); ++i)
    fold_of_group[static_cast<std::size_t>(groups[i])] = static_cast<int>(i) % count;
  std::vector<int> fold_of_row;
  for (const int g : group) fold_of_row.push_back(fold_of_group[static_cast<std::size_t>(g)]);
  return fold_of_row;
}

}  // namespace moeline
