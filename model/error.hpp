// What went wrong, and whose turn is it?
//
//   SpecError     the user's input is wrong: where (file#/json/pointer or --flag) and what, with a cure. Exit code 2.
//   Infeasible    the input is right but cannot run (memory, divisibility): an answer, not an exception. Exit code 3.
//   MOELINE_EXPECT  we are wrong. Always on; unreachable from user input. Exit code 1.
#pragma once

#include <optional>
#include <stdexcept>
#include <string>

#include "units.hpp"

namespace moeline {

class SpecError : public std::runtime_error {
 public:
  SpecError(const std::string& where, const std::string& what);
};

// A key nobody asked for: wrong whatever its value is.
class UnknownKey : public SpecError {
 public:
  using SpecError::SpecError;
};

struct Infeasible {
  std::string reason;            // one sentence: which limit, at which stage or rank
  std::string advice;            // what to change
  std::optional<Bytes> need{};   // set when memory is the limit
  std::optional<Bytes> have{};
};

class InternalError : public std::logic_error {
 public:
  using std::logic_error::logic_error;
};

[[noreturn]] void expectation_failed(const char* condition, const char* file, int line);

#define MOELINE_EXPECT(condition) \
  ((condition) ? void(0) : ::moeline::expectation_failed(#condition, __FILE__, __LINE__))

}  // namespace moeline
