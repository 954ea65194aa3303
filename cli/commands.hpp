// Every subcommand adds itself to the application and leaves behind what to run.
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace moeline {

inline constexpr int kAnswered = 0, kInternalError = 1, kBadInput = 2, kInfeasible = 3;  // kRunFailed = 4 is of engine

// Set by the parsed subcommand; returns the exit code.
using Action = std::function<int()>;

// The exit code of `action`; a mistake or a failure is said in one line on stderr, by the first rank of a run of several.
int answer_of(const Action& action);

// Lets the option take only these names; another one gets "did you mean".
void take_one_of(CLI::Option* option, const std::vector<std::string>& names);
// An empty name is a mistake in a script, not a file that nobody wanted.
void must_name_a_file(CLI::Option* option);

void add_train(CLI::App& app, Action& action);
void add_layer(CLI::App& app, Action& action);
void add_serve(CLI::App& app, Action& action);
void add_load(CLI::App& app, Action& action);
void add_sweep(CLI::App& app, Action& action);
void add_search(CLI::App& app, Action& action);
void add_explain(CLI::App& app, Action& action);
void add_solve(CLI::App& app, Action& action);
void add_compare(CLI::App& app, Action& action);
void add_route(CLI::App& app, Action& action);
void add_report(CLI::App& app, Action& action);
void add_list(CLI::App& app, Action& action);
void add_show(CLI::App& app, Action& action);
void add_measure(CLI::App& app, Action& action);
void add_calibrate(CLI::App& app, Action& action);
void add_fit(CLI::App& app, Action& action);
void add_check(CLI::App& app, Action& action);

}  // namespace moeline
