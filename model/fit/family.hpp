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
  Observations observations;  // microseconds, predicted under the benchmark's conditions
  Predictor in_step;          // the same calls inside a step: operands from HBM, sustained clock; empty: no difference
  std::vector<int> group;
  std::vector<double> size;                      // what grows: tokens, bytes, rows; the next decade is judged along it
  Surface surface;                               // axes and knots of the correction, no values; no axes: none wanted
  std::vector<std::vector<double>> coordinates;  // where a row sits on it, log2
  std::string domain;                            // "m 1..65536, n 128..65536, k 128..65536"
  std::map<std::string, std::size_t> skipped;    // reason -> rows
  bool check_only = false;  // too few rows or kinds of call to fit a page: compared with one, never fitted
};

// Held-out rows whose predicted time lies at or above an edge and below the next one's.
struct SizeClass {
  double above_us = 0;
  std::size_t n = 0;
  double mean = 0, bias = 0;  // of predicted / measured - 1
  Band spread;                // of log(measured / predicted), stretched until folds cover each other
  double coverage = 0;        // share of rows inside the band that the other folds gave, so stretched
};

struct FamilyFit {
  FamilyKey key;
  std::vector<Parameter> parameters;
  Fit fit;
  Surface surface;           // empty where it does not help on unseen groups
  ErrorSummary fitted;       // on all rows, by parameters fitted to some of them
  ErrorSummary held_out;     // on groups the fit did not see; n = 0 when there is but one group
  ErrorSummary next_decade;  // on the largest tenth of the size range, fitted to the rest; n = 0 when too few rows
  Band spread;               // held out, all sizes; of the fitted rows when nothing was held out
  std::vector<SizeClass> classes;
  double coverage = 0;  // of all classes together
  std::string domain;
  std::string source;  // whose measurements, with licence
  std::map<std::string, std::size_t> skipped;
  std::vector<double> held_out_us;  // predicted by folds, one per row; not kept in the file
};

// Fits on at most 1,500 rows, tests on all by five folds of unseen groups. The correction surface is kept only if it
// lowers the held-out mean.
FamilyFit fit_family(const FamilyData& data);

enum class Conditions { benchmark, step };

// log(predicted / measured) of every row under a page, its surface included. Under step conditions this is no error but
// what the benchmark's were worth.
std::vector<double> log_ratios(const FamilyData& data, const FamilyFit& page, Conditions conditions = Conditions::benchmark);

}  // namespace moeline
