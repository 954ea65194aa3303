// Is this process one of many that a launcher (mpirun, srun) started, and how do they talk?
//
// libmoeline_mpi.so, beside the binary, is the only code that knows MPI. It is loaded when the environment speaks of
// several processes, so that a run of one neither waits for MPI nor needs it.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace moeline {

class Peers;  // validate/backend.hpp

// What the launcher says in the environment, before any MPI: which of how many.
struct Launched {
  int rank = 0, size = 1;
};
Launched launched();

struct Message {
  char kind = 0;
  std::uint64_t first = 0, last = 0;
  std::string text{};
  int from = 0;  // set on arrival
};

// The processes of this run. One thread of each may use it.
class Ranks {
 public:
  virtual ~Ranks() = default;                      // waits for all others to come here, unless left
  virtual void send(int to, Message message) = 0;  // returns at once, arrived or not
  virtual std::optional<Message> poll() = 0;       // the next message that has arrived
  virtual void leave() = 0;                        // others will not come: do not wait for them
  virtual Peers& first(int count) = 0;  // the first ranks, to exchange bytes: asked for by all of them at once

  int rank = 0, size = 1;
  int here = 1;         // ranks on this machine
  std::string library;  // "Open MPI v4.1.4"
};

// The side of every rank but 0: what rank 0 sends goes to `serve`, until it lets this rank end; the exit code. Asleep
// between messages, the longer the rarer they are.
int follow(Ranks& ranks, const std::function<void(const Message&)>& serve);
// Rank 0 lets all end with this exit code; how many of them no longer answer.
int dismiss(Ranks& ranks, int code, std::chrono::steady_clock::duration longest_work);

// Null for a run of one process. RunFailed when the launcher started several and they cannot talk.
std::unique_ptr<Ranks> ranks_of_this_run();

}  // namespace moeline
