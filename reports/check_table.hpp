// What `check` found: one line a family, with sign; or JSON for scripts.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "fit/checking.hpp"

namespace moeline {

struct CheckedFile {
  std::string path;
  std::vector<Checked> families;
  std::string refusal;  // why the file could not be read; empty if it could
};

std::string check_text(const std::vector<CheckedFile>& files);
nlohmann::ordered_json check_json(const std::vector<CheckedFile>& files);

}  // namespace moeline
