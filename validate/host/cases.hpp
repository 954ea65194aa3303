// The kernels of the host as runs: one file an op.
//
//   gemm, grouped_gemm   C[m,n] = A[m,k] W[n,k]^T by Eigen in fp32. Operands of fewer bits are held as bf16 or MXFP8
//   and
//                        widened in the timed call: a processor without their products has no other way (emulated)
//   memory_pass          copy, read, write, triad over slices of the members
//   quantise             bf16 -> MXFP8, byte for byte the codec's
//   all_to_all           every member copies what the others hold for it; among processes, one rank's part
#pragma once

#include <memory>

#include "validate/backend.hpp"
#include "validate/host/team.hpp"

namespace moeline {

// What every run shares: the team, and a way to empty its caches.
class HostRun : public Run {
 public:
  explicit HostRun(Team& team) : team_(team) {}
  Sample sample(Caches caches) override;

 protected:
  // What a member does; called by all of them at once.
  virtual void work(int member) = 0;
  Sample run() {
    return team_.run([this](int member) { work(member); });
  }
  Team& team() { return team_; }

 private:
  Team& team_;
};

// Part `member` of 0 .. count, cut as evenly as whole `grain`s allow.
struct Slice {
  std::size_t begin, end;
};
Slice slice(std::size_t count, int member, int members, std::size_t grain = 1);

std::unique_ptr<Run> product_run(const Case& wanted, Team& team);
std::unique_ptr<Run> pass_run(const Case& wanted, Team& team);
std::unique_ptr<Run> quantise_run(const Case& wanted, Team& team);
std::unique_ptr<Run> exchange_run(const Case& wanted, Team& team);
std::unique_ptr<Part> exchange_part(const Case& wanted, int rank);

// Words that fill one and a half times the last-level cache: when they are written, nothing else stays in it.
std::size_t cache_filling_words();

}  // namespace moeline
