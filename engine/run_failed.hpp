// The input was right, the machine did not let the run end: a launcher, a rank, a signal.
#pragma once

#include <stdexcept>

namespace moeline {

inline constexpr int kRunFailed = 4;  // exit code

class RunFailed : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace moeline
