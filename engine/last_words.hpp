// What does a run say when Ctrl-C, a launcher or a batch system (SIGTERM) ends it, or an alarm
// that it set itself? It then exits with kRunFailed. Said from the signal handler: Open MPI leaves a rank some ten
// milliseconds.
#pragma once

#include <string>

namespace moeline {

// One line, from now on; until the first call signals do what they always do.
void say_when_stopped(const std::string& line);

}  // namespace moeline
