// An answer, ready to be shown: as a screen, JSON, CSV or Markdown. Rendering computes nothing.
#pragma once

#include <string>
#include <vector>

#include "plan/evaluate.hpp"

namespace moeline {

enum class Format { table, json, csv, markdown };

// Lines longer than `width` columns go on below, indented, from their last space that fits.
std::string folded(const std::string& text, std::size_t width);

struct Terminal {
  bool color = false;
  int width = 100;  // columns; below a hundred, lines are folded and tables lose bars and sources
};

// `help`: what would help most, for the screen of a training step.
std::string render(const Evaluation& evaluation, const Scenario& scenario, Format format, const Terminal& terminal,
                   const std::vector<std::string>& help = {});
Json infeasible_json(const Infeasible& infeasible);

// "DeepSeek-V3 671B · 256 x GB200 · mxfp8 · tp1 pp4 ...": what was asked, in one line.
std::string headline(const Evaluation& evaluation, const Scenario& scenario);

}  // namespace moeline
