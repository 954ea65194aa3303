// What is this processor, and what can it do at most? Counted where the system tells, measured where it does not.
#pragma once

#include <string>

#include "validate/host/team.hpp"

namespace moeline {

struct Processor {
  std::string model;                                        // "AMD EPYC 9654 96-Core Processor"
  int cores = 1;                                            // that this process may use
  double clock_hz = 0;                                      // highest seen: two dependent operations every two cycles
  double flops = 0;                                         // all cores, fp32 multiply-adds in registers
  double bandwidth = 0;                                     // bytes a second, all cores, of reading memory
  double memory = 0, last_level_cache = 0, core_cache = 0;  // bytes
};

// `quick` looks at the system and measures nothing.
Processor processor();
// Best of some tens of milliseconds: what a busy machine still shows now and then.
void measure_limits(Processor& processor, Team& team);
// Cycles a second of the calling thread's core, from a chain of dependent operations, some 10 us long.
double core_clock();

// The hardware profile of it, as JSON, and its name: "cpu-amd-epyc-9654-2-cores".
std::string profile_name(const Processor& processor);
std::string profile_text(const Processor& processor);

}  // namespace moeline
