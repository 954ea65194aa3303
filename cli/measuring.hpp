// What `measure` and `calibrate` share: their flags, and cases measured with progress on a terminal.
#pragma once

#include <functional>
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

// `answer` with the backend that is asked for; stderr says which one was taken when none was. Under mpirun on rank 0,
// and the others take part in exchanges until all end with its exit code.
int answer_measured(const MeasureFlags& flags, const std::function<int(LoadedBackend&)>& answer);
// Shows progress, and says on stderr what could not be measured.
Counts measured(LoadedBackend& loaded, const Suite& suite, const std::vector<Task>& tasks, const MeasureFlags& flags);

}  // namespace moeline
