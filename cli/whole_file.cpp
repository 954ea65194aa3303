#include "cli/whole_file.hpp"

#include <cstdio>
#include <fstream>
#include <iterator>

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

std::string whole_text(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string text{std::istreambuf_iterator<char>(file), {}};
  if (!file) throw SpecError(path, "cannot be read");
  return text;
}

}  // namespace moeline
