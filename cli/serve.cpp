// `moeline serve`: TTFT, TPOT and throughput of a deployment.
#include <CLI/CLI.hpp>
#include <memory>

#include "cli/asking.hpp"
#include "cli/commands.hpp"
#include "cli/scenario_flags.hpp"

namespace moeline {

void add_serve(CLI::App& app, Action& action) {
  CLI::App* command = app.add_subcommand("serve", "prefill and decode: TTFT, TPOT, tokens/s, memory, breakdown");
  command->footer(
      "Example: moeline serve --model deepseek-v3 --hardware h200-sxm --parallel tp=8 --input-tokens 1024 --output-tokens 1024 "
      "--concurrency 64");
  auto flags = std::make_shared<ScenarioFlags>();
  flags->add_to(*command);
  flags->add_serving_to(*command);
  command->callback([flags, &action] { action = [flags] { return answer(*flags, "serve"); }; });
}

}  // namespace moeline
