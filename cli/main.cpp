#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "cli/commands.hpp"
#include "cli/reporting.hpp"
#include "engine/ranks.hpp"
#include "engine/run_failed.hpp"
#include "spec/reader.hpp"
#include "validate/backend.hpp"

namespace moeline {
namespace {

const std::vector<std::string> kCommands{"train", "layer", "serve", "load", "explain", "solve", "compare", "sweep",
                                         "search", "route", "report", "measure", "calibrate", "fit", "check", "list", "show"};

// Of the ranks of a run only the first speaks and fails: a launcher ends all at the first failure it sees, which must
// not be that of a silent one.
bool silent = false;

int say(const std::string& problem, int code) {
  if (silent) return kAnswered;
  fmt::print(stderr, "moeline: {}\n", problem);
  return code;
}

std::string help_of(const CLI::App* command) {
  return command == nullptr ? "see `moeline --help`" : fmt::format("see `moeline {} --help`", command->get_name());
}

// What no command asked for, with the nearest flag of the command that was meant.
std::string unknown_word(const std::string& word, const CLI::App* command) {
  if (word[0] != '-') return fmt::format("unexpected argument \"{}\"; {}", word, help_of(command));
  const std::string flag = word.substr(0, word.find('='));
  std::vector<std::string> flags;
  if (command != nullptr) {
    for (const CLI::Option* option : command->get_options()) {
      for (const std::string& name : option->get_lnames()) flags.push_back("--" + name);
    }
  }
  const std::string near = nearest(flag, flags);
  return near.empty() ? fmt::format("unknown flag {}; {}", flag, help_of(command))
                      : fmt::format("unknown flag {}, did you mean {}?", flag, near);
}

// One line for a mistake in the flags.
std::string flag_problem(const CLI::App& app, const CLI::ParseError& error) {
  const std::vector<CLI::App*> parsed = app.get_subcommands();
  const CLI::App* command = parsed.empty() ? nullptr : parsed.front();
  const std::vector<std::string> unknown = app.remaining(true);
  if (!unknown.empty() && !unknown.front().empty()) return unknown_word(unknown.front(), command);
  const std::string message = error.what();
  if (command == nullptr)
    return fmt::format("which question? One of {}; {}", fmt::join(kCommands, ", "), help_of(command));
  if (message.find("At Most 1") != std::string::npos) {
    return fmt::format("{}: given more than once", message.substr(0, message.find(':')));
  }
  if (dynamic_cast<const CLI::RequiredError*>(&error) != nullptr)
    return fmt::format("{}; {}", message, help_of(command));
  return message;
}

int run(int argc, char** argv) {
  CLI::App app{
      "moeline: how long a Mixture-of-Experts model takes on a machine, what holds it back, and what would change it.",
      "moeline"};
  app.set_version_flag("--version", "moeline 0.1.0");
  app.require_subcommand(1);
  app.footer("Try: moeline train examples/deepseek-v3-256-gb200.json");
  remember_command(argc, argv);
  Action action;
  add_train(app, action);
  add_layer(app, action);
  add_serve(app, action);
  add_load(app, action);
  add_explain(app, action);
  add_solve(app, action);
  add_compare(app, action);
  add_sweep(app, action);
  add_search(app, action);
  add_route(app, action);
  add_report(app, action);
  add_measure(app, action);
  add_calibrate(app, action);
  add_fit(app, action);
  add_check(app, action);
  add_list(app, action);
  add_show(app, action);
  if (argc > 1 && argv[1][0] != '-' && std::find(kCommands.begin(), kCommands.end(), argv[1]) == kCommands.end()) {
    throw SpecError(fmt::format("unknown command \"{}\"", argv[1]),
                    nearest(argv[1], kCommands).empty()
                        ? "see `moeline --help`"
                        : fmt::format("did you mean \"{}\"?", nearest(argv[1], kCommands)));
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& help) {
    return silent ? kAnswered : app.exit(help);
  } catch (const CLI::ParseError& error) {
    return say(flag_problem(app, error), kBadInput);
  }
  return action();
}

}  // namespace

int answer_of(const Action& action) {
  try {
    return action();
  } catch (const SpecError& error) {
    return say(error.what(), kBadInput);
  } catch (const RunFailed& error) {
    return say(error.what(), kRunFailed);
  } catch (const HardwareError& error) {
    return say(error.what(), kRunFailed);
  } catch (const std::exception& error) {
    return say(fmt::format("internal error, please report it: {}", error.what()), kInternalError);
  }
}

}  // namespace moeline

int main(int argc, char** argv) {
  const std::string_view command = argc > 1 ? argv[1] : "";
  const bool of_many_ranks = command == "sweep" || command == "measure" || command == "calibrate";
  moeline::silent = of_many_ranks && moeline::launched().rank > 0;
  return moeline::answer_of([&] { return moeline::run(argc, argv); });
}
