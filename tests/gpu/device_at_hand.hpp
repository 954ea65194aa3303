// The backend of this machine's first GPU, opened once by main.cpp.
#pragma once

#include "validate/cuda/cuda_backend.hpp"

namespace moeline {

Backend& backend_at_hand();

}  // namespace moeline
