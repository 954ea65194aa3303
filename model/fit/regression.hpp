// Which parameter values explain the measured times best?
//
// Robust least squares on r = log(predicted / measured): soft-L1 with scale 0.08, so that a 3x outlier pulls like a 20
// % one. Parameters live in log space between a low and a high bound; a weak prior pulls each towards its start, which
// costs nothing where data speak and keeps unidentified ones readable and extrapolation sane. Levenberg-Marquardt
// (Eigen) from several cold starts, because tiles and waves make the objective piecewise flat.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

namespace moeline {

struct Parameter {
  std::string name, unit;
  double start = 1, low = 0, high = 0;  // positive
  double prior = 0.5;                   // residual per unit of log distance from start; 0: no pull
};

// Predicted time of row `row` under `values`, in any unit as long as measured has the same.
using Predictor = std::function<double(std::span<const double> values, std::size_t row)>;

struct Observations {
  std::vector<double> measured;
  std::vector<double> weight;  // empty: all 1
  Predictor predicted;
};

struct Fit {
  std::vector<double> values;
  std::vector<bool> at_bound;  // such a parameter is not identified by the data
  double objective = 0;
};

// Fits on the rows named; `starts` are alternative start vectors beside the parameters' own.
Fit fit(const std::vector<Parameter>& parameters, const Observations& observations,
        const std::vector<std::size_t>& rows, const std::vector<std::vector<double>>& starts = {});

// Fold 0..count-1 of every row, the same every time. Rows of one group share a fold; fewer groups than folds leave
// folds empty.
std::vector<int> folds(const std::vector<int>& group, int count);

// `most` of the indices 0..count-1, the same every time.
std::vector<std::size_t> sample(std::size_t count, std::size_t most, unsigned seed);

}  // namespace moeline
