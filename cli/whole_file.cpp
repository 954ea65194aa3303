#include "cli/whole_file.hpp"

#include <cstdio>
#include <fstream>

#include "error.hpp"

namespace moeline {

void write_whole(const std::string& path, const std::string& text) {
  const std::string partial = path + ".partial";
  {
    std::ofstream file(partial, std::ios::binary);
    file << text;
    if (!file.flush()) throw SpecError(partial, "cannot be written");
  }
  if (std::rename(partial.c_str(), path.c_str()) != 0) throw SpecError(path, "cannot be written");
}

}  // namespace moeline
