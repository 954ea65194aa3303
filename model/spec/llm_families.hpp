// How does each family of Hugging Face configs say what its layers are?
//
// One function per family, found by `model_type`. It asks the reader for every key that shapes a layer, names the
// keys that do not, and leaves the rest to ObjectReader::finish(), so that a field nobody here knows is an error.
// Missing fields take the default of the family's class in transformers only where published configs rely on it.
#pragma once

#include <string_view>
#include <vector>

#include "spec/llm.hpp"

namespace moeline {

struct Family {
  std::string_view model_type;
  void (*read)(ObjectReader& config, ModelSpec& model);  // fills all but name and family
};

const std::vector<Family>& families();
void read_gpt2(ObjectReader& config, ModelSpec& model);

}  // namespace moeline
