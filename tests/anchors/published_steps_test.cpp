// Training steps that others published, against predictions; what little they taught is named in docs/accuracy.md.
// Sources: the README of the measurement folder, docs/guide/measurements.md.
#include <cmath>
#include <iostream>

#include "anchors/measurements.hpp"
#include "fit/step_check.hpp"

namespace moeline {
namespace {

// Rows of one file and operation, of all devices and formats.
struct Compared {
  ErrorSummary errors;
  double inside = 0, worst = 0;
};

std::optional<Compared> compared(const std::string& file, std::string_view operation) {
  const std::optional<std::string> path = measurements(file);
  if (!path) return std::nullopt;
  Compared all;
  std::vector<double> ratios;
  for (const Checked& family : check_steps(Csv::read(*path), "auto")) {
    if (family.key.operation != operation) continue;
    ratios.insert(ratios.end(), family.ratios.begin(), family.ratios.end());
    all.inside += family.coverage * static_cast<double>(family.ratios.size());
  }
  for (const double ratio : ratios) all.worst = std::max(all.worst, std::abs(std::expm1(ratio)));
  all.errors = summarise(ratios);
  all.inside /= static_cast<double>(ratios.size());
  std::cout << file << ", " << operation << ": " << all.errors.n << " rows, mean error " << 100 * all.errors.mean << " %, median "
            << 100 * all.errors.median << " %, p90 " << 100 * all.errors.p90 << " %, bias " << 100 * all.errors.bias << " %, worst "
            << 100 * all.worst << " %, inside the range " << 100 * all.inside << " %\n";
  return all;
}

}  // namespace

TEST_CASE("published dense steps of Megatron-Bridge are met without bias", "[anchors]") {
  const auto all = compared("megatron_bridge_dense.csv", "training_step");
  if (!all) return;
  CHECK(all->errors.n > 60);
  // The aims, met: 5.2 % and -1.3 % are seen; per-tensor FP8 on B200 and GB200 is read 7 to 9 % too fast.
  CHECK(all->errors.mean < 0.06);
  CHECK(std::abs(all->errors.bias) < 0.03);
  // The range claims p10 to p90. Rows repeat a dozen configurations over releases, so 80 % is met within some points.
  CHECK(all->inside > 0.7);
}

// The aim is 6 % of every source and these miss it: bounds set on what was seen, so that it does not get worse unnoticed.
TEST_CASE("published steps of other stacks are missed by no more than was found", "[anchors]") {
  struct Missed {
    const char* file;
    double mean, bias;
  };
  for (const Missed& source : {Missed{"simumax_b200_dense_e2e.csv", 0.06, -0.06}, Missed{"korthikanti_a100_e2e.csv", 0.06, -0.05},
                               Missed{"torchtitan_dense_h100_h200.csv", 0.12, -0.10}}) {
    INFO(source.file);
    const auto all = compared(source.file, "training_step");
    if (!all) return;
    CHECK(all->errors.mean < source.mean);
    CHECK(all->errors.bias > source.bias);
    CHECK(all->errors.bias < 0.03);
  }
}

TEST_CASE("peak memory of measured runs is met within a percent and a half", "[anchors]") {
  const auto all = compared("simumax_b200_dense_e2e.csv", "training_memory");
  if (!all) return;
  CHECK(all->errors.n == 31);
  CHECK(all->errors.mean < 0.015);
  CHECK(all->worst < 0.05);
}

}  // namespace moeline
