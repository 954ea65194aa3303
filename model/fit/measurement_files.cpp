#include "fit/measurement_files.hpp"

#include <algorithm>
#include <filesystem>

#include "error.hpp"

namespace moeline {

std::vector<MeasurementFile> measurement_files(const std::vector<std::string>& paths) {
  std::vector<MeasurementFile> files;
  for (const std::string& path : paths) {
    if (!std::filesystem::is_directory(path)) {
      files.push_back({path, true});
      continue;
    }
    std::vector<std::string> inside;
    for (const std::filesystem::directory_entry& entry : std::filesystem::directory_iterator(path)) {
      const std::string ending = entry.path().extension().string();
      if (entry.is_regular_file() && (ending == ".csv" || ending == ".jsonl")) inside.push_back(entry.path().string());
    }
    if (inside.empty()) throw SpecError(path, "the folder has no .csv or .jsonl file");
    std::sort(inside.begin(), inside.end());
    for (const std::string& file : inside) files.push_back({file, false});
  }
  return files;
}

}  // namespace moeline
