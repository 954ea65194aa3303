// What every command that evaluates a scenario does first.
#pragma once

#include <string>

#include "plan/evaluate.hpp"
#include "reports/report.hpp"

namespace moeline {

// Says why it cannot run, as text on stderr and with -o json as data; returns the exit code.
int say_infeasible(const Infeasible& why, Format format, const std::string& origin);
// Text on stdout: folded to a terminal's width; what is piped is as wide as it is.
void print_folded(const std::string& text);
struct ScenarioFlags;
// Reads the scenario, evaluates it, shows the answer; returns the exit code.
int answer(const ScenarioFlags& flags, const std::string& kind, bool memory = false);
// "layer" or "serve" when the scenario asks about one, else "train".
std::string kind_asked(const Json& scenario);

}  // namespace moeline
