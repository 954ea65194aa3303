// The backend that runs cases on this machine's GPUs.
#pragma once

#include <memory>

#include "validate/backend.hpp"

namespace moeline {

std::unique_ptr<Backend> cuda_backend();

}  // namespace moeline
