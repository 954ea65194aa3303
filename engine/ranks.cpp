#include "engine/ranks.hpp"

#include <dlfcn.h>
#include <fmt/format.h>

#include <cstdlib>
#include <filesystem>

#include "engine/run_failed.hpp"

namespace moeline {
namespace {

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

}  // namespace moeline
