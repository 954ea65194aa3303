// What does the user read when this is wrong? The text of the SpecError, or "no error".
#pragma once

#include <string>

#include "error.hpp"

namespace moeline {

template <class Action>
std::string error_of(Action&& action) {
  try {
    action();
  } catch (const SpecError& error) {
    return error.what();
  }
  return "no error";
}

}  // namespace moeline
