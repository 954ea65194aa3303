// Which published figures does the MXFP8 model explain, and by how much does it miss?
//
// One row a figure: scenario, measured, predicted, error = predicted / measured - 1, source, and whether the figure was
// an input of a kernel form or is predicted. Published, few, quoted with their sources; docs/theory/mxfp8.md says what
// each is.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace moeline {

struct Anchor {
  std::string table;     // what belongs together: "TorchAO kernels"
  std::string scenario;  // "B200, wgrad, grouped GEMM"
  double measured = 0, predicted = 0;
  std::string unit;
  bool input = false;  // a constant was read off this figure
  double target = 0;   // the error aimed at
  std::string source;

  double error() const { return predicted / measured - 1; }
};

std::vector<Anchor> anchors();

nlohmann::ordered_json anchor_records(const std::vector<Anchor>& list);
std::string anchor_table(const std::vector<Anchor>& list);
std::string anchor_markdown(const std::vector<Anchor>& list);

}  // namespace moeline
