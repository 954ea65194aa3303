// Files and folders on the command line -> the measurement files they mean.
#pragma once

#include <string>
#include <vector>

namespace moeline {

struct MeasurementFile {
  std::string path;
  bool named = true;  // on the command line: a header nobody knows is an error; inside a folder it is only reported
};

// Folders are read one level deep, *.csv and *.jsonl, by name. SpecError for what is not there and for an empty folder.
std::vector<MeasurementFile> measurement_files(const std::vector<std::string>& paths);

}  // namespace moeline
