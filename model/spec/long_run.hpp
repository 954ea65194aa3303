// What interrupts a long training run, and what is done about it?
//
// Failures of devices are independent and come at a constant rate; a run stops with the first of its devices. All facts
// are the user's: nothing here has a default but the policy.
#pragma once

#include <optional>

#include "spec/reader.hpp"
#include "units.hpp"

namespace moeline {

struct LongRun {
  double tokens = 0;                             // to train on; 0: ratios only
  Seconds device_mtbf;                           // mean time between failures that one device causes
  Seconds restart;                               // from a failure to the first new step
  std::optional<BytesPerSecond> checkpoint_bandwidth;  // of one device to storage
  std::optional<Seconds> checkpoint_time;        // that training stands still for one; else bytes / bandwidth
  std::optional<Seconds> checkpoint_interval;    // absent: the best one
  bool operator==(const LongRun&) const = default;
};

LongRun read_long_run(ObjectReader reader);
Json to_json(const LongRun& run);

}  // namespace moeline
