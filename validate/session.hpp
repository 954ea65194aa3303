// Cases in, records out: the one loop of `measure` and `calibrate`.
//
//   as often as the suite visits them: for every case and library that is not in the file so often:
//   prepare, check, warm up, time, write
// A case whose check fails, or whose memory does not suffice, is written as failed and has no time.
#pragma once

#include <functional>
#include <memory>

#include "validate/record_file.hpp"
#include "validate/suite.hpp"

namespace moeline {

// The backend of that name from its module beside the program, with the machine it found. `auto`: CUDA where there is a
// GPU for it, else the host, and `note` says why. HardwareError when it is not built or its hardware is missing.
struct LoadedBackend {
  std::unique_ptr<Backend> backend;
  std::string name;
  Machine machine;
};
LoadedBackend load_backend(const std::string& name, std::string& note);
// Without a look at its hardware.
std::unique_ptr<Backend> backend_module(const std::string& name);

// A case and where its record goes.
struct Task {
  Case wanted;
  RecordFile* file;
};
std::vector<Task> tasks_of(const std::vector<Case>& cases, RecordFile& file);
// Both lists in eight rounds, each with every eighth case of both: a machine that changes while it is measured then
// changes for the fit as it does for the check, and for small shapes as for large.
std::vector<Task> interleaved(const std::vector<Task>& a, const std::vector<Task>& b);

struct Counts {
  std::size_t measured = 0, failed = 0;     // records
  std::size_t before = 0, not_offered = 0;  // cases
};
using Watch = std::function<void(std::size_t done, std::size_t all)>;

// `run` marks the records. `watch` is told before every case.
Counts measure_cases(LoadedBackend& loaded, const Suite& suite, const std::vector<Task>& tasks, const std::string& run,
                     const Watch& watch);

}  // namespace moeline
