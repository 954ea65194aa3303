#include "validate/cuda/source.hpp"

#include "validate/codec.hpp"
#include "validate/oracle.hpp"

namespace moeline {
namespace {

constexpr std::size_t kPoolRows = 977, kPoolColumns = 1021;  // primes: no row length falls into step with it

std::vector<std::uint16_t> pool_of(std::uint64_t seed) {
  std::vector<std::uint16_t> pool;
  for (const float value : random_operand(kPoolRows, kPoolColumns, seed)) pool.push_back(encode_bf16(value));
  return pool;
}

}  // namespace

Source::Source(const SourceShape& shape, std::uint64_t seed, Device& device)
    : shape_(shape), pool_(pool_of(seed)), memory_(elements() * sizeof(std::uint16_t)) {
  const DeviceMemory pool = DeviceMemory::of(pool_);
  device.run([&](cudaStream_t stream) {
    MOELINE_CUDA(kernels::fill_from_pool({pool.data(), static_cast<int>(pool_.size()), memory_.data(), shape.matrices,
                                          shape.rows, shape.filled, shape.columns},
                                         stream));
  });
}

std::size_t Source::elements() const {
  return static_cast<std::size_t>(shape_.matrices) * static_cast<std::size_t>(shape_.rows) *
         static_cast<std::size_t>(shape_.columns);
}

float Source::at(int matrix, int row, int column) const {
  if (row >= shape_.filled) return 0;
  const std::size_t whole_row =
      static_cast<std::size_t>(matrix) * static_cast<std::size_t>(shape_.rows) + static_cast<std::size_t>(row);
  return decode_bf16(
      pool_[(whole_row * static_cast<std::size_t>(shape_.columns) + static_cast<std::size_t>(column)) % pool_.size()]);
}

std::vector<float> Source::row(int matrix, int row) const {
  std::vector<float> values;
  for (int column = 0; column < shape_.columns; ++column) values.push_back(at(matrix, row, column));
  return values;
}

std::vector<float> Source::column(int matrix, int column) const {
  std::vector<float> values;
  for (int row = 0; row < shape_.filled; ++row) values.push_back(at(matrix, row, column));
  return values;
}

}  // namespace moeline
