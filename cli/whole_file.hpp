// A file that is either the old one or the new one.
#pragma once

#include <string>

namespace moeline {

// Written beside and renamed, so that an interrupted run leaves the old file whole.
void write_whole(const std::string& path, const std::string& text);
// Of any size; SpecError when it cannot be read.
std::string whole_text(const std::string& path);

}  // namespace moeline
