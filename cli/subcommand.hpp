// A subcommand: its name, what it answers, an example, and the function that answers with the flags it is given.
#pragma once

#include <CLI/CLI.hpp>
#include <memory>
#include <string>
#include <utility>

#include "cli/commands.hpp"

namespace moeline {

// The flags live as long as the command; the caller adds what fills them.
template <class Flags>
std::pair<CLI::App*, Flags*> subcommand(CLI::App& app, Action& action, int (*answer)(const Flags&),
                                        const std::string& name, const std::string& description,
                                        const std::string& footer) {
  CLI::App* command = app.add_subcommand(name, description);
  command->footer(footer);
  const auto flags = std::make_shared<Flags>();
  command->callback([=, &action] { action = [=] { return answer(*flags); }; });
  return {command, flags.get()};
}

}  // namespace moeline
