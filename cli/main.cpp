#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "cli/commands.hpp"
#include "spec/reader.hpp"

namespace moeline {
namespace {

const std::vector<std::string> kCommands{"train", "layer", "list", "show"};

// One line for a mistake in the flags, with the nearest flag of the command that was meant.
std::string flag_problem(const CLI::App& app, const CLI::ParseError& error) {
  std::string message = error.what();
  const std::size_t dashes = message.find("--");
  const std::vector<CLI::App*> parsed = app.get_subcommands();
  if (error.get_name() != "ExtrasError" || parsed.empty()) return message;
  std::vector<std::string> flags;
  for (const CLI::Option* option : parsed.front()->get_options()) {
    for (const std::string& name : option->get_lnames()) flags.push_back("--" + name);
  }
  const std::string word = dashes == std::string::npos ? "" : message.substr(dashes, message.find_first_of(" ]=", dashes) - dashes);
  const std::string near = nearest(word, flags);
  if (!near.empty()) return fmt::format("unknown flag {}, did you mean {}?", word, near);
  return message + fmt::format("; see `moeline {} --help`", parsed.front()->get_name());
}

int run(int argc, char** argv) {
  CLI::App app{"moeline: how long a Mixture-of-Experts model takes on a machine, what holds it back, and what would change it."};
  app.set_version_flag("--version", "moeline 0.1.0");
  app.require_subcommand(1);
  app.footer("Try: moeline train examples/deepseek-v3-256-gb200.json");
  Action action;
  add_train(app, action);
  add_layer(app, action);
  add_list(app, action);
  add_show(app, action);
  if (argc > 1 && argv[1][0] != '-' && std::find(kCommands.begin(), kCommands.end(), argv[1]) == kCommands.end()) {
    throw SpecError(fmt::format("unknown command \"{}\"", argv[1]),
                    "see `moeline --help`" + did_you_mean(argv[1], kCommands));
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& help) {
    return app.exit(help);
  } catch (const CLI::ParseError& error) {
    fmt::print(stderr, "moeline: {}\n", flag_problem(app, error));
    return kBadInput;
  }
  return action();
}

}  // namespace
}  // namespace moeline

int main(int argc, char** argv) {
  try {
    return moeline::run(argc, argv);
  } catch (const moeline::SpecError& error) {
    fmt::print(stderr, "moeline: {}\n", error.what());
    return moeline::kBadInput;
  } catch (const std::exception& error) {
    fmt::print(stderr, "moeline: internal error, please report it: {}\n", error.what());
    return moeline::kInternalError;
  }
}
