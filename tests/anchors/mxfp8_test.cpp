// Published MXFP8 figures against the model: prints the table, holds every row that is met to its aim.
#include <catch2/catch.hpp>
#include <cmath>
#include <iostream>
#include <set>

#include "reports/anchors.hpp"

namespace moeline {
namespace {

// Rows that miss their aim, with the error that was reached; reasons in docs/theory/mxfp8.md.
const std::set<std::string> kMissed{"Transformer Engine, B300, Fprop by layer", "TorchAO grouped GEMM, forward and backward",
                                    "TorchAO layer, forward and backward", "warp decode, 32 tokens"};
// A row alone: docs/theory/experts-backends.md.
constexpr std::string_view kMissedRow = "gpt-oss-20b, 4-bit, memory";

}  // namespace

TEST_CASE("published MXFP8 kernels, layers and decode steps are explained within their aims or said not to be", "[anchors]") {
  const std::vector<Anchor> list = anchors();
  std::cout << anchor_table(list);
  int met = 0, predicted = 0;
  double worst = 0;
  for (const Anchor& a : list) {
    INFO(a.table << ": " << a.scenario << " " << a.error());
    CHECK(std::isfinite(a.error()));
    const bool within = std::abs(a.error()) <= a.target + 5e-4;
    if (!kMissed.contains(a.table) && a.scenario != kMissedRow) CHECK(within);
    if (a.input) continue;
    ++predicted;
    met += within ? 1 : 0;
    worst = std::max(worst, std::abs(a.error()));
  }
  std::cout << met << " of " << predicted << " predicted figures within their aims, the worst off by " << 100 * worst << " %\n";
  CHECK(met >= 0.85 * predicted);
}

TEST_CASE("TorchAO's layer speed-ups and its MXFP8 grouped times stay as close as they were found", "[anchors]") {
  for (const Anchor& a : anchors()) {
    INFO(a.table << ": " << a.scenario);
    if (a.table.starts_with("TorchAO layer") && a.unit == "x") CHECK(std::abs(a.error()) < 0.06);
    if (a.table.starts_with("TorchAO grouped") && a.scenario.ends_with("MXFP8")) CHECK(std::abs(a.error()) < 0.12);
  }
}

}  // namespace moeline
