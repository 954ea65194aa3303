// The input that gives a wanted answer, shown.
#pragma once

#include <string>

#include "plan/solve.hpp"

namespace moeline {

std::string solution_text(const Root& root, const VariedInput& input, const Wanted& wanted);
std::string solution_json(const Root& root, const VariedInput& input, const Wanted& wanted);
// Why there is none, in one line: how far the answer reached, or where it jumps.
std::string no_solution(const Root& root, const VariedInput& input, const Wanted& wanted);

}  // namespace moeline
