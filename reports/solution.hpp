// The input that gives a wanted answer, shown.
#pragma once

#include <string>

#include "plan/solve.hpp"

namespace moeline {

std::string solution_text(const Root& root, const VariedInput& input, const Wanted& wanted);
Json solution_json(const Root& root, const VariedInput& input, const Wanted& wanted);
// The same for a page: with the scenario, and every value that was tried.
Json solution_page(const Root& root, const VariedInput& input, const Wanted& wanted, const Scenario& scenario);
// Why there is none, in one line: how far the answer reached, or where it jumps.
std::string no_solution(const Root& root, const VariedInput& input, const Wanted& wanted);

}  // namespace moeline
