// The input was right, the machine did not let the run end: a launcher, a rank, a signal. Exit code 4.
#pragma once

#include <stdexcept>

namespace moeline {

class RunFailed : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace moeline
