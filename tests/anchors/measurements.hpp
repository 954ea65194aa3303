// Where other people's measurements lie on this machine: the folder named by MOELINE_MEASUREMENTS, if any.
#pragma once

#include <catch2/catch.hpp>
#include <cstdlib>
#include <fstream>
#include <optional>
#include <string>

namespace moeline {

// nullopt, with a warning that says so, where the file is not at hand: the test then has nothing to compare with.
inline std::optional<std::string> measurements(const std::string& file) {
  const char* folder = std::getenv("MOELINE_MEASUREMENTS");
  const std::string path = folder == nullptr ? "" : std::string(folder) + "/" + file;
  if (folder != nullptr && std::ifstream(path)) return path;
  WARN("skipped: MOELINE_MEASUREMENTS names no folder with " << file);
  return std::nullopt;
}

}  // namespace moeline
