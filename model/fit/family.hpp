// One page of a calibration: a kernel family on one device, its few parameters, and how wrong they are.
//
// A family is what one set of parameters explains: (device, operation, kernel library, dtype). Its rows carry a group
// (an (n,k) pair, a model shape, a rank count); held-out errors come from folds that never saw the row's group.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "cost/surface.hpp"
#include "fit/regression.hpp"
#include "fit/residuals.hpp"

namespace moeline {

struct FamilyKey {
  std::string device, operation, library, dtype;  // "h200-sxm", "gemm", "trtllm", "bf16"
  friend auto operator<=>(const FamilyKey&, const FamilyKey&) = default;
};

// Rows of one family, ready to be fitted or checked.
struct FamilyData {
  FamilyKey key;
  std::vector<Parameter> parameters;
  std::vector<std::vector<double>> starts;
  Observations observations;               // microseconds
  std::vector<int> group;
  std::vector<double> size;                // what grows: tokens, bytes, rows; the next decade is judged along it
  Surface surface;                         // axes and knots of the correction, no values; no axes: none wanted
  std::vector<std::vector<double>> coordinates;  // where a row sits on it, log2
  std::string domain;                      // "m 1..65536, n 128..65536, k 128..65536"
  std::map<std::string, std::size_t> skipped;  // reason -> rows
  bool check_only = false;                 // too few rows or kinds of call to fit a page: compared with one, never fitted
};

struct FamilyFit {
  FamilyKey key;
  std::vector<Parameter> parameters;
  Fit fit;
  ErrorSummary fitted, held_out;
  Band spread;                             // of measured over predicted, held out
  std::string domain;
  std::map<std::string, std::size_t> skipped;
};

// Fits on at most 1,500 rows, tests on all by five folds of unseen groups.
FamilyFit fit_family(const FamilyData& data);

}  // namespace moeline
