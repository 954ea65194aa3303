#include "engine/ranks.hpp"

#include <dlfcn.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <thread>

#include "engine/run_failed.hpp"

namespace moeline {
namespace {

using Clock = std::chrono::steady_clock;

// Words that every use of ranks shares. end: `first` is the exit code, `last` 1 when all are there.
constexpr char kStop = 's', kGoodbye = 'b', kEnd = 'e';

constexpr std::chrono::microseconds kShortestSleep{50}, kLongestSleep{5000};
constexpr std::chrono::seconds kPatience{3};  // with ranks that should say goodbye, beyond four of the longest works
constexpr std::chrono::minutes kSilence{10};  // after which a rank takes rank 0 for dead

// The next message from rank 0; none when it has been silent for so long that it must have died. Whoever waited long
// may be found a sixteenth of that late.
std::optional<Message> wait(Ranks& ranks) {
  const Clock::time_point begun = Clock::now();
  for (Clock::duration waited{}; waited < kSilence; waited = Clock::now() - begun) {
    if (std::optional<Message> message = ranks.poll()) return message;
    std::this_thread::sleep_for(std::clamp<Clock::duration>(waited / 16, kShortestSleep, kLongestSleep));
  }
  return std::nullopt;
}

int number_in_environment(const char* name, int otherwise) {
  const char* text = std::getenv(name);
  return text != nullptr ? std::atoi(text) : otherwise;
}

using MakeRanks = Ranks* (*)();

MakeRanks load(int size) {
  const std::string module = std::filesystem::read_symlink("/proc/self/exe").parent_path() / "libmoeline_mpi.so";
  // Global: MPI loads plugins of its own, which look for its symbols.
  void* library = ::dlopen(module.c_str(), RTLD_NOW | RTLD_GLOBAL);
  if (library == nullptr) {
    throw RunFailed(
        fmt::format("started as {} processes, but MPI cannot be loaded ({}); start one process, or build "
                    "where MPI is found (Debian: libopenmpi-dev openmpi-bin)",
                    size, ::dlerror()));
  }
  void* make = ::dlsym(library, "moeline_ranks");
  if (make == nullptr) throw RunFailed(fmt::format("{} is not moeline's module; install both together", module));
  return reinterpret_cast<MakeRanks>(make);
}

}  // namespace

Launched launched() {
  // Open MPI; MPICH, Intel MPI, Cray; a step of Slurm (SLURM_NTASKS is set in a batch script of one process too).
  for (const auto& [rank, size] : {std::pair{"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"},
                                   {"PMI_RANK", "PMI_SIZE"},
                                   {"SLURM_PROCID", "SLURM_STEP_NUM_TASKS"}}) {
    const Launched found{number_in_environment(rank, 0), number_in_environment(size, 0)};
    if (found.size > 0) return found;
  }
  return {};
}

std::unique_ptr<Ranks> ranks_of_this_run() {
  const int size = launched().size;
  if (size <= 1) return nullptr;
  std::unique_ptr<Ranks> ranks(load(size)());
  if (ranks->size != size) {
    throw RunFailed(
        fmt::format("started as {} processes, but MPI sees {}: the launcher belongs to another MPI, or srun needs "
                    "--mpi=pmix",
                    size, ranks->size));
  }
  return ranks;
}

int follow(Ranks& ranks, const std::function<void(const Message&)>& serve) {
  while (const std::optional<Message> message = wait(ranks)) {
    if (message->kind == kEnd) {
      if (message->last == 0) ranks.leave();
      return static_cast<int>(message->first);
    }
    if (message->kind == kStop)
      ranks.send(0, {.kind = kGoodbye});
    else
      serve(*message);
  }
  ranks.leave();
  return kRunFailed;
}

int dismiss(Ranks& ranks, int code, Clock::duration longest_work) {
  int missing = ranks.size - 1;
  for (int rank = 1; rank < ranks.size; ++rank) ranks.send(rank, {.kind = kStop});
  const Clock::time_point deadline = Clock::now() + kPatience + 4 * longest_work;
  while (missing > 0 && Clock::now() < deadline) {
    const std::optional<Message> message = ranks.poll();
    if (!message) std::this_thread::sleep_for(kShortestSleep);
    if (message && message->kind == kGoodbye) --missing;
  }
  for (int rank = 1; rank < ranks.size; ++rank) {
    ranks.send(rank, {.kind = kEnd, .first = static_cast<std::uint64_t>(code), .last = missing == 0 ? 1U : 0U});
  }
  if (missing > 0) ranks.leave();
  return missing;
}

}  // namespace moeline
