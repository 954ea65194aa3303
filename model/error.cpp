#include "error.hpp"

namespace moeline {

SpecError::SpecError(const std::string& where, const std::string& what)
    : std::runtime_error(where + ": " + what) {}

void expectation_failed(const char* condition, const char* file, int line) {
  throw InternalError(std::string(file) + ":" + std::to_string(line) + ": expected " + condition);
}

}  // namespace moeline
