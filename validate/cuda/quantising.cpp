#include <algorithm>
#include <cmath>
#include <numeric>

#include "validate/codec.hpp"
#include "validate/cuda/cases.hpp"
#include "validate/cuda/source.hpp"
#include "validate/kernels/quantise.hpp"

namespace moeline {
namespace {

using kernels::QuantiseSource;

const std::map<std::string, QuantiseSource> kSources{{"gather", QuantiseSource::gather},
                                                     {"swiglu", QuantiseSource::swiglu},
                                                     {"swiglu_backward", QuantiseSource::swiglu_backward}};

// Rows and columns are those of the output; tokens of a gather come in reverse.
class QuantiseRun : public CudaRun {
 public:
  QuantiseRun(const Case& wanted, Device& device)
      : CudaRun(device),
        source_(kSources.contains(wanted.kind) ? kSources.at(wanted.kind) : QuantiseSource::plain),
        backward_(source_ == QuantiseSource::swiglu_backward),
        rows_(size_of(wanted, "rows")),
        columns_(size_of(wanted, "columns")),
        input_({1, rows_, rows_, source_ == QuantiseSource::swiglu ? 2 * columns_ : columns_}, wanted.seed, device),
        gradient_({1, rows_, rows_, backward_ ? columns_ / 2 : 256}, wanted.seed + 1, device) {
    std::vector<int> reversed(static_cast<std::size_t>(rows_));
    std::iota(reversed.rbegin(), reversed.rend(), 0);
    source_row_ = DeviceMemory::of(reversed);
    const std::size_t elements = static_cast<std::size_t>(rows_) * static_cast<std::size_t>(columns_);
    pass_ = {.source = source_,
             .input = input_.data(),
             .gradient = gradient_.data(),
             .source_row = source_row_.as<int>(),
             .rows = rows_,
             .columns = backward_ ? columns_ / 2 : columns_};
    const auto make = [&](Copy& copy, kernels::QuantisedCopy& target) {
      copy = {DeviceMemory(elements), DeviceMemory(elements / 32)};
      target = {copy.values.as<std::uint8_t>(), copy.scales.data()};
    };
    if (wanted.kind != "column") make(row_wise_, pass_.row_wise);
    if (wanted.kind != "row") make(column_wise_, pass_.column_wise);
  }

  // Bit for bit where no exponential is taken; there the values after decoding.
  Check check() override {
    for (Copy* copy : {&row_wise_, &column_wise_}) {
      if (copy->values.bytes() > 0) copy->values.poison(), copy->scales.poison();
    }
    run();
    for (const Copy* copy : {&row_wise_, &column_wise_}) {
      if (!copy->values.guards_alive() || !copy->scales.guards_alive())
        return {.error = 1, .problem = "a canary beside a copy died"};
    }
    double different = 0, compared = 0;
    for (const int line : {0, 1, 127, rows_ / 2, rows_ - 1}) compare(row_wise_, line, rows_, different, compared);
    for (const int line : {0, 1, 127, columns_ / 2, columns_ - 1})
      compare(column_wise_, line, columns_, different, compared);
    // Where the device's exponential rounds y the other way, the last bit of bf16 may move an element by one step.
    const bool exact = source_ == QuantiseSource::plain || source_ == QuantiseSource::gather;
    const double tolerance = exact ? 0 : 0.02, share = different / std::max(compared, 1.0);
    return {share <= tolerance, share, tolerance, share <= tolerance ? "" : "bytes differ from the codec's"};
  }

 private:
  struct Copy {
    DeviceMemory values, scales;
  };

  float value(int row, int column) const {
    if (source_ == QuantiseSource::gather) return input_.at(0, rows_ - 1 - row, column);
    if (source_ == QuantiseSource::plain) return input_.at(0, row, column);
    const int half = backward_ ? columns_ / 2 : columns_, c = column % half;
    const float g = input_.at(0, row, c), u = input_.at(0, row, half + c), s = 1 / (1 + std::exp(-g));
    if (!backward_) return rounded(g * s * u);
    const float dy = gradient_.at(0, row, c);
    return rounded(column < half ? dy * u * s * (1 + g * (1 - s)) : dy * g * s);
  }
  static float rounded(float x) { return decode_bf16(encode_bf16(x)); }

  void compare(const Copy& copy, int line, int lines, double& different, double& compared) const {
    if (copy.values.bytes() == 0) return;
    const bool by_rows = &copy == &row_wise_;
    const std::size_t length = copy.values.bytes() / static_cast<std::size_t>(lines),
                      at = static_cast<std::size_t>(line);
    std::vector<float> values;
    for (int i = 0; i < static_cast<int>(length); ++i) values.push_back(by_rows ? value(line, i) : value(i, line));
    const ScaledMatrix expected = quantise(values.data(), 1, length);
    const std::vector<std::uint8_t> got = copy.values.read<std::uint8_t>(at * length, length);
    const std::vector<std::uint8_t> scales = copy.scales.read<std::uint8_t>(0, copy.scales.bytes());
    for (std::size_t i = 0; i < length; ++i) different += got[i] != expected.elements[i];
    for (std::size_t b = 0; b < length / 32; ++b)
      different += scales[tiled_scale_offset(at, b, length / 32)] != expected.scales[b];
    compared += static_cast<double>(length + length / 32);
  }

  void launch(cudaStream_t stream) override { MOELINE_CUDA(kernels::quantise(pass_, stream)); }

  QuantiseSource source_;
  bool backward_;
  int rows_, columns_;
  Source input_, gradient_;
  DeviceMemory source_row_;
  Copy row_wise_, column_wise_;
  kernels::Quantise pass_;
};

}  // namespace

std::unique_ptr<Run> quantise_run(const Case& wanted, Device& device) {
  return std::make_unique<QuantiseRun>(wanted, device);
}

}  // namespace moeline
