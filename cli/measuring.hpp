// What `measure` and `calibrate` share: their flags, and one suite measured into one file with progress on a terminal.
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
// What a run is called in its records: the time it began, in UTC.
std::string name_of_run();
// `cases` are the suite's own or its fresh ones. Says on stderr what could not be measured.
Counts measure_into(RecordFile& file, LoadedBackend& loaded, const Suite& suite, const std::vector<Case>& cases,
                    const MeasureFlags& flags);

}  // namespace moeline
