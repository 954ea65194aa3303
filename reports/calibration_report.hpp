// What a calibration of one's own machine found: the pages, how wrong they are on shapes that the fit never saw, and
// how noisy the machine was.
#pragma once

#include <string>
#include <vector>

#include "fit/checking.hpp"
#include "fit/records.hpp"

namespace moeline {

struct CalibrationReport {
  std::string machine, folder;
  std::vector<Record> records, fresh_records;
  std::vector<FamilyFit> pages;
  std::vector<Checked> checked;  // fresh rows against the pages
};

std::string calibration_text(const CalibrationReport& report);      // for the terminal
std::string calibration_markdown(const CalibrationReport& report);  // to keep: with every page's parameters

}  // namespace moeline
