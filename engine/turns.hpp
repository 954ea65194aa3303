// How do many ranks work on one ordered list? Rank 0 hands out turns, works too, and consumes all results in order.
//
//   rank 0     | hands out 0..255, 256..511 ... | works on a piece | consumes what is finished in order | again
//   the others | works on a turn, sends its rows, asks for the next one
// A turn that is still out when none is left to hand out (its rank is slow, or died) is worked on by rank 0 as well,
// and the first result counts: no rank is waited for, and no watch needed. What is consumed does not depend on the
// ranks.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <string>

#include "engine/ranks.hpp"

namespace moeline {

// Works on first .. last-1; what comes back travels as bytes.
using TurnWork = std::function<std::string(std::uint64_t first, std::uint64_t last)>;
// Takes what came of all numbers from the last call's `last` up to this one.
using TurnDone = std::function<void(std::uint64_t last, const std::string& result)>;

// Rank 0's side.
class Turns {
 public:
  explicit Turns(Ranks& ranks) : ranks_(ranks) {}

  // `threads`: those of this rank. SpecError when another rank cannot read its input.
  void hand_out(std::uint64_t first, std::uint64_t last, int threads, const TurnWork& work, const TurnDone& done);

  // Lets every other rank end with this exit code; how many of them no longer answer.
  int dismiss(int code);

 private:
  using Clock = std::chrono::steady_clock;
  struct Turn {
    std::uint64_t last = 0;
    bool finished = false;
    std::string result{};
  };
  struct Part {  // what this rank has of a turn
    std::uint64_t first = 0, reached = 0, last = 0;
    std::string result{};
  };
  struct Other {
    std::uint64_t points = 0;  // it takes at a time
    bool busy = false;
    Clock::time_point since{};
  };
  using Open = std::map<std::uint64_t, Turn>;

  void hear(Message message);
  Open::iterator new_turn(std::uint64_t points);  // end(): none is left, or enough are out
  void give_turns();
  void work_a_little(int threads, const TurnWork& work);
  void finish(std::uint64_t first, std::string result);

  Ranks& ranks_;
  std::uint64_t next_ = 0, last_ = 0;  // not yet handed out
  Open open_;                          // handed out and not consumed, by their first number
  Part mine_;
  std::map<int, Other> others_;
  Clock::duration longest_{};  // turn so far
};

// The side of every other rank: works until dismissed; the exit code.
int take_turns(Ranks& ranks, int threads, const TurnWork& work);
// The same for a rank that cannot work: `problem` is told to rank 0.
int take_no_turns(Ranks& ranks, const std::string& problem);

}  // namespace moeline
