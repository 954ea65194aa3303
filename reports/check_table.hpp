// What `check` found: one line a family, with sign; or JSON for scripts.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "fit/check_files.hpp"

namespace moeline {

std::string check_text(const std::vector<CheckedFile>& files);
nlohmann::ordered_json check_json(const std::vector<CheckedFile>& files);
// The same for a page: with predicted and measured times of rows, evenly taken where a family has many.
nlohmann::ordered_json check_page(const std::vector<CheckedFile>& files);

}  // namespace moeline
