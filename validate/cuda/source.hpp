// Random bf16 tensors of any size, the same on the device and, line by line, on the CPU.
//
//   element i = pool[i % size], a pool of a million seeded values; rows of padding are zeros
#pragma once

#include <vector>

#include "validate/cuda/device.hpp"

namespace moeline {

struct SourceShape {
  int matrices = 1, rows = 0, filled = 0, columns = 0;  // `rows` of a matrix, of which the first `filled` are random
};

class Source {
 public:
  Source(const SourceShape& shape, std::uint64_t seed, Device& device);

  const void* data() const { return memory_.data(); }
  const SourceShape& shape() const { return shape_; }
  std::size_t elements() const;
  float at(int matrix, int row, int column) const;
  // A row of `columns`, or the filled part of a column: what a product sums over.
  std::vector<float> row(int matrix, int row) const;
  std::vector<float> column(int matrix, int column) const;

 private:
  SourceShape shape_;
  std::vector<std::uint16_t> pool_;
  DeviceMemory memory_;
};

}  // namespace moeline
