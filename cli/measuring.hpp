// What `measure` and `calibrate` share: their flags, and cases measured with progress on a terminal.
#pragma once

#include <string>

#include "validate/session.hpp"

namespace CLI {
class App;
}

namespace moeline {

struct MeasureFlags {
  std::string backend = "auto", suite = "quick";
  bool quiet = false;
  void add_to(CLI::App& command);
};

// Says on stderr which backend was taken when none was asked for.
LoadedBackend loaded_backend(const MeasureFlags& flags);
// Shows progress, and says on stderr what could not be measured.
Counts measured(LoadedBackend& loaded, const Suite& suite, const std::vector<Task>& tasks, const MeasureFlags& flags);

}  // namespace moeline
