// One thread a core, started together and timed to the last one's end.
//
//   member 0 ──ready?──go─ work ── end ── last end - first start
//   member 1 ready ─────── work ─── end        ready and end are spun upon: nobody sleeps while the time runs
// Go names an instant a little later, so that all begin together, however late each heard of it.
// Member 0 is the caller: one thread more than cores, and somebody would wait for a core while the time runs. Each stays on one core.
// A call is disturbed when a member had less processor time than wall time, or began late: another process held its
// core. Its time is then the processor time of the slowest member, waiting for others not counted: what the wall would
// have shown on a machine of one's own, but for caches that the intruder used.
#pragma once

#include <sched.h>

#include <atomic>
#include <functional>
#include <thread>
#include <vector>

#include "validate/backend.hpp"

namespace moeline {

class Team {
 public:
  explicit Team(int size);
  ~Team();
  Team(const Team&) = delete;
  Team& operator=(const Team&) = delete;

  int size() const { return static_cast<int>(members_.size()); }
  // `work(member)` once on every member, 0 .. size - 1; no clock in the sample.
  Sample run(const std::function<void(int)>& work);
  // For work of several phases: returns when every member has come.
  void meet(int member);

 private:
  struct alignas(64) Member {
    double start = 0, end = 0;      // seconds of the wall
    double worked = 0, waited = 0;  // of the processor: between them, and of these in meetings
  };
  void serve(int member);
  void take_part(int member);

  cpu_set_t allowed_{};  // cores of the caller, who stays on the first of them meanwhile
  std::vector<Member> members_;
  std::vector<std::jthread> threads_;
  const std::function<void(int)>* work_ = nullptr;
  double instant_ = 0;                      // when all start
  std::atomic<unsigned> call_{0}, go_{0};  // numbers of the call that is prepared, and that may start
  std::atomic<int> ready_{0}, done_{0}, met_{0};
  std::atomic<unsigned> meeting_{0};
  std::atomic<bool> leaving_{false};
};

// Seconds of a clock that only goes forward.
double now();
// Of the processor, that this thread has had.
double processor_seconds();
// Whether so much of a time is missing that another process must have had it.
bool lost(double missing, double time);

}  // namespace moeline
