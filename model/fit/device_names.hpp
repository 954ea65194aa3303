// Which hardware profile does a measurement's device name mean?
#pragma once

#include <string>
#include <string_view>

namespace moeline {

// "h200_sxm" -> "h200-sxm", "gb200" -> "gb200-nvl72", "NVIDIA H20" -> "h20-sxm"; an unknown name comes back in small
// letters with dashes.
std::string device_name(std::string_view measured);

// Whose chips are sm_100 and sm_103, by name: asked for every row.
inline bool is_blackwell(std::string_view device) { return device.starts_with("b") || device.starts_with("gb"); }

// Whether a profile of that name is carried.
bool has_profile(const std::string& device);

}  // namespace moeline
