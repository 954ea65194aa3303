// How wrong are the predictions on somebody's measurement files? Every family of every file, by the carried pages or by
// those of a calibration file.
#pragma once

#include <string>
#include <vector>

#include "fit/checking.hpp"

namespace moeline {

struct CheckedFile {
  std::string path;
  std::vector<Checked> families;
  std::string refusal;  // why the file could not be read; empty if it could
};

// `paths` are files, and folders of them: a file inside a folder may be refused, a named one is a SpecError.
// `calibration` is "auto", or a file to check instead of the pages carried.
std::vector<CheckedFile> check_files(const std::vector<std::string>& paths, const std::string& calibration,
                                     Conditions conditions);

// "benchmark": as the rows were timed; "step": operands from HBM and sustained clocks, as predictions are made.
Conditions conditions_named(const std::string& name);

}  // namespace moeline
