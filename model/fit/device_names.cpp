#include "fit/device_names.hpp"

#include <algorithm>
#include <cctype>

#include "spec/catalogue.hpp"

namespace moeline {

std::string device_name(std::string_view measured) {
  std::string name(measured);
  for (char& c : name) c = c == '_' || c == ' ' ? '-' : static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  for (const std::string_view maker : {"nvidia-", "amd-", "instinct-"}) {
    if (name.starts_with(maker)) name.erase(0, maker.size());
  }
  if (has_profile(name)) return name;
  // The profile of that chip: "h800" and "h800-sxm5" are "h800-sxm", "gb200" is "gb200-nvl72".
  const std::string chip = name.substr(0, name.find('-'));
  if (name.find("pcie") != std::string::npos) return name;
  for (const char* board : {"-sxm", "-nvl72"}) {
    if (has_profile(chip + board)) return chip + board;
  }
  return name;
}

bool has_profile(const std::string& device) {
  const std::span<const CatalogueEntry> entries = hardware_catalogue();
  return std::any_of(entries.begin(), entries.end(), [&](const CatalogueEntry& entry) { return entry.name == device; });
}

}  // namespace moeline
