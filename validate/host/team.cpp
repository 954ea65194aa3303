#include "validate/host/team.hpp"

#include <time.h>

#include <algorithm>

namespace moeline {
namespace {

double seconds_of(clockid_t clock) {
  timespec time{};
  ::clock_gettime(clock, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

// Between the call to start and the start: all have seen it by then, and looked at their clocks.
constexpr double kNotice = 5e-6;

// A short wait burns its core; a long one leaves it to others.
template <class Condition>
void spin_until(const Condition& condition) {
  for (int turn = 0; !condition(); ++turn) {
    if (turn > 20000) ::sched_yield();
#ifdef __x86_64__
    __builtin_ia32_pause();
#endif
  }
}

// Two members that wake on one core would run one after the other. Where the system refuses, it places them itself.
void stay_on(const cpu_set_t& allowed, int member) {
  for (int core = 0; core < CPU_SETSIZE; ++core) {
    if (!CPU_ISSET(static_cast<unsigned>(core), &allowed) || member-- > 0) continue;
    cpu_set_t own;
    CPU_ZERO(&own);
    CPU_SET(static_cast<unsigned>(core), &own);
    ::sched_setaffinity(0, sizeof own, &own);
    return;
  }
}

}  // namespace

double now() { return seconds_of(CLOCK_MONOTONIC); }
double processor_seconds() { return seconds_of(CLOCK_THREAD_CPUTIME_ID); }
bool lost(double missing, double time) { return missing > 0.02 * time + 1e-6; }

Team::Team(int size) : members_(static_cast<std::size_t>(size)) {
  ::sched_getaffinity(0, sizeof allowed_, &allowed_);
  stay_on(allowed_, 0);
  for (int member = 1; member < size; ++member) threads_.emplace_back([this, member] { serve(member); });
}

Team::~Team() {
  leaving_ = true;
  ++call_;
  call_.notify_all();
  ::sched_setaffinity(0, sizeof allowed_, &allowed_);
}

void Team::take_part(int member) {
  Member& own = members_[static_cast<std::size_t>(member)];
  own.waited = 0;
  const double begun = now(), had = processor_seconds();
  do {
    own.start = now();
  } while (own.start < instant_);
  (*work_)(member);
  own.end = now();
  own.worked = processor_seconds() - had - (own.start - begun);
}

void Team::serve(int member) {
  stay_on(allowed_, member);
  for (unsigned call = 1;; ++call) {
    call_.wait(call - 1);
    if (leaving_) return;
    ++ready_;
    spin_until([&] { return go_.load(std::memory_order_acquire) == call; });
    take_part(member);
    ++done_;
  }
}

Sample Team::run(const std::function<void(int)>& work) {
  work_ = &work;
  ready_ = done_ = 0;
  const unsigned call = ++call_;
  call_.notify_all();
  spin_until([&] { return ready_ == size() - 1; });
  instant_ = now() + kNotice;
  go_.store(call, std::memory_order_release);
  take_part(0);
  spin_until([&] { return done_ == size() - 1; });
  double start = members_.front().start, last_start = start, end = 0, worked = 0;
  Sample sample;
  for (const Member& member : members_) {
    start = std::min(start, member.start);
    last_start = std::max(last_start, member.start);
    end = std::max(end, member.end);
    worked = std::max(worked, member.worked - member.waited);
    sample.disturbed |= lost(member.end - member.start - member.worked, member.end - member.start);
  }
  sample.disturbed |= lost(last_start - start, end - start);
  sample.seconds = sample.disturbed ? worked : end - start;
  return sample;
}

void Team::meet(int member) {
  const double before = processor_seconds();
  const unsigned meeting = meeting_;
  if (++met_ == size()) {
    met_ = 0;
    ++meeting_;
  } else {
    spin_until([&] { return meeting_ != meeting; });
  }
  members_[static_cast<std::size_t>(member)].waited += processor_seconds() - before;
}

}  // namespace moeline
