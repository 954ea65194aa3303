// How do the ranks of a run measure an exchange together?
//
//   rank 0      tells the case | own part | hears all | tells check  | checks | hears | tells sample | exchanges | hears
//   the others  sleep          | part, answer         | check, answer                 | sample, answer
// The loop of cases and its stopping rule are rank 0's alone, as in a run of one process: all it does is to say what
// comes next, one sample at a time. A sample takes the slowest rank's time, from the barrier to the end of its
// exchange; where another process held a core, the processor time of the rank that lost it. What is no exchange rank 0
// measures while the others sleep.
#pragma once

#include <functional>
#include <memory>

#include "engine/ranks.hpp"
#include "validate/session.hpp"

namespace moeline {

// Rank 0's side: the backend offers all-to-alls as library "mpi" too, as the default.
void exchange_among(Ranks& ranks, LoadedBackend& loaded);

// The side of every other rank, until it is dismissed; the exit code. `load` is asked once, when there is a part to
// make.
int take_part(Ranks& ranks, const std::function<std::unique_ptr<Backend>()>& load);

}  // namespace moeline
