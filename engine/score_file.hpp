// Router scores of a file: tokens by experts, float32.
//
// .npy: two dimensions, C order, little-endian float32. Anything else: CSV, one token per line.
#pragma once

#include <string>
#include <vector>

namespace moeline {

struct ScoreFile {
  std::vector<float> values;
  std::size_t experts = 0;
};

// SpecError names what cannot be used: ragged, empty, not finite, of another type.
ScoreFile read_scores(const std::string& path);

}  // namespace moeline
