// How far is it, how fast, how long still? One line on a terminal, rewritten a few times a second; nothing elsewhere.
#pragma once

#include <chrono>
#include <cstdint>

namespace moeline {

class Progress {
 public:
  // `first` points were done before; rates count from here.
  Progress(std::uint64_t first, std::uint64_t total, bool shown);
  ~Progress();  // clears the line
  void at(std::uint64_t done);

 private:
  using Clock = std::chrono::steady_clock;
  std::uint64_t first_, total_;
  bool shown_, drawn_ = false;
  Clock::time_point begin_, last_;
};

}  // namespace moeline
