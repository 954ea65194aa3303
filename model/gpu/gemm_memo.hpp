// Has this product been priced before? Remembers costs, so that a sweep asks for each shape once.
//
//   slot = hash(m, n, k, operands, output, accumulate) mod slots      open addressing, a few slots looked at
// Bounded: where all of them are taken, the first is replaced. A memo belongs to one device and one calibration, which
// outlive it and do not change; it is not shared between threads.
#pragma once

#include <cstddef>
#include <vector>

#include "cost/calibration.hpp"
#include "ops/work.hpp"
#include "spec/device.hpp"

namespace moeline {

class GemmMemo {
 public:
  // `slots` is rounded up to a power of two.
  GemmMemo(const Gpu& gpu, const Calibration& calibration, std::size_t slots = 4096);

  // The same as cost(gemm, gpu, calibration.gemm(gemm.operands)).
  OpCost cost(const Gemm& gemm);

  std::size_t searches() const { return searches_; }  // products that were not remembered

 private:
  struct Slot {
    Gemm gemm;  // m = 0: free
    OpCost cost;
  };

  const Gpu* gpu_;
  const Calibration* calibration_;
  std::vector<Slot> slots_;
  std::size_t searches_ = 0;
};

}  // namespace moeline
