// What can be run and timed on this machine? The one thing that the measuring program knows of CUDA, NCCL or a plain
// CPU.
//
//   libmoeline_host.so, libmoeline_cuda.so       loaded when asked for, so that the tool links none of their libraries
//     extern "C" moeline::Backend* moeline_backend(int version);      owned by the caller; nullptr: another version
//   Backend -> Machine;  Case -> Run -> check(), then sample() as often as the stopping rule of bench.hpp wants
//   under mpirun an all-to-all may go between processes: Case, rank -> Part, and the core carries bytes (Peers)
// Both sides are built together: C++ types and exceptions cross the border. Standard library only, so that nvcc reads
// it. A failure of the hardware or its software (no device, out of memory, a kernel that does not end) throws
// HardwareError.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace moeline {

inline constexpr int kBackendVersion = 2;

class HardwareError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// One thing to measure. Names are those of the records (docs/guide/measurements.md), sizes count elements, rows or
// bytes:
//   gemm           m n k                        dtype of the operands; output bf16, fp32 for fp32
//   grouped_gemm   groups m n k                 m: rows of each expert
//   memory_pass    bytes                        kind copy, read, write, triad, gather (and row_bytes); bytes read and
//   written quantise       rows columns                 kind row, column, both; dtype the format written, from bf16
//   all_to_all     ranks bytes                  bytes of one rank's buffer, its own share included
//                  + tokens experts top_k row_bytes exponent     kind moe: rows follow a seeded routing (exponent 0:
//                  even);
//                                               bytes is then filled in by the backend: the most that a rank sends or
//                                               receives
//   collective     ranks bytes                  kind all_reduce, all_gather, reduce_scatter
//   launch         -                            kind names what is launched: empty_kernel, graph_node, ...
struct Case {
  std::string op, library, kind, dtype;
  std::map<std::string, double> shape;
  std::uint64_t seed = 1;
  friend auto operator<=>(const Case&, const Case&) = default;
};

// What the check that precedes every timing found. NaN in `error` fails.
struct Check {
  bool passed = false;
  double error = 0, tolerance = 0;  // relative: norm of the difference over norm of the reference
  std::string problem;              // empty when passed: "element 17 was not written", "a canary behind C died", ...
};

// Cold: operands come from memory, not from a cache. Hot: the call follows itself, as inside a chain of kernels.
enum class Caches { cold, hot };

struct Sample {
  double seconds = 0;   // of one call; a short hot call is timed in a batch and divided; disturbed: the best estimate
  double clock_hz = 0;  // mean of the cores or multiprocessors during it; 0: not known
  bool disturbed = false;  // throttled below 75 % of the nominal clock, or another process took a core
};

// A case with its buffers: seeded random operands, outputs surrounded by canaries.
class Run {
 public:
  virtual ~Run() = default;
  // Poisons the outputs, runs once, and compares every element (large products: sampled ones) with the oracle of fp64.
  virtual Check check() = 0;
  virtual Sample sample(Caches caches) = 0;
  // Sizes that only the backend can know, written into the record's shape: the bytes of a routed exchange.
  virtual std::map<std::string, double> filled_in() const { return {}; }
};

// The ranks of an exchange between processes. All of them call the same at once.
class Peers {
 public:
  struct Blocks {  // one for each rank, in order
    std::uint8_t* data;
    std::vector<int> bytes, first;
  };
  virtual ~Peers() = default;
  virtual void meet() = 0;  // returns when all have come
  virtual void all_to_all(const Blocks& sent, const Blocks& received) = 0;
};

// What one rank does of an all_to_all between processes; as a Run, but all ranks together.
class Part {
 public:
  virtual ~Part() = default;
  virtual Check check(Peers& peers) = 0;                   // of what this rank received
  virtual Sample sample(Peers& peers, Caches caches) = 0;  // from the barrier to the end of this rank's exchange
  virtual std::map<std::string, double> filled_in() const { return {}; }
};

struct Machine {
  std::string device;                           // name of its hardware profile, "h200-sxm"
  std::string title;                            // for people
  std::map<std::string, std::string> versions;  // {"driver": ..., "cublas": ...}
  std::string profile;                          // JSON of the profile where none of that name is carried; else empty
};

class Backend {
 public:
  virtual ~Backend() = default;
  // Looks at the hardware; HardwareError says what is missing and what to do.
  virtual Machine machine() = 0;
  // Implementations that run such a case (its own `library` is not looked at), the default first; none: it cannot.
  virtual std::vector<std::string> libraries(const Case& wanted) const = 0;
  // `wanted.library` is one of libraries(wanted).
  virtual std::unique_ptr<Run> prepare(const Case& wanted) = 0;
  // Of an all_to_all that libraries() knows.
  virtual std::unique_ptr<Part> part(const Case& wanted, int rank) {
    throw HardwareError("rank " + std::to_string(rank) + ": no " + wanted.op + " between processes");
  }
};

}  // namespace moeline

// What a module exports, under this name.
extern "C" __attribute__((visibility("default"))) moeline::Backend* moeline_backend(int version);
