// Products of experts with any number of tiles, also none: the schedules that routing makes, and even cases never do.
#include <catch2/catch.hpp>
#include <cmath>

#include "gpu/device_at_hand.hpp"
#include "validate/codec.hpp"
#include "validate/cuda/source.hpp"
#include "validate/kernels/grouped_gemm.hpp"
#include "validate/kernels/quantise.hpp"
#include "validate/oracle.hpp"

namespace moeline {
namespace {

using kernels::Operands;
using kernels::Product;
using kernels::ScaleForm;

constexpr int kN = 384, kK = 256;
const std::vector<int> kOffsets{0, 0, 128, 128, 640, 768, 1792, 1792};
const int kExperts = static_cast<int>(kOffsets.size()) - 1, kRows = kOffsets.back();

std::vector<float> decoded(const std::vector<float>& line) { return dequantise(quantise(line.data(), 1, line.size())); }

// Tokens of one matrix in ragged segments; weights of all experts.
struct Ragged {
  explicit Ragged(Device& on)
      : device(on),
        x({1, kRows, kRows, kK}, 1, on),
        w({kExperts, kN, kN, kK}, 2, on),
        dy({1, kRows, kRows, kN}, 3, on),
        offsets(DeviceMemory::of(kOffsets)) {}
  Device& device;
  Source x, w, dy;
  DeviceMemory offsets;
};

struct Eight {
  Eight(const Source& source, ScaleForm form, bool along_rows, int batch, Device& device)
      : values(source.elements()), scales(source.elements() / 32 * (form == ScaleForm::block ? 4 : 1)) {
    const SourceShape& shape = source.shape();
    kernels::Quantise pass{.form = form,
                           .input = source.data(),
                           .rows = shape.rows * shape.matrices / batch,
                           .columns = shape.columns,
                           .batch = batch};
    (along_rows ? pass.column_wise : pass.row_wise) = {values.as<std::uint8_t>(), scales.data()};
    device.run([&](cudaStream_t stream) { MOELINE_CUDA(kernels::quantise(pass, stream)); });
  }
  DeviceMemory values, scales;
};

std::vector<Operands> formats(const Device& device) {
  if (device.generation() == 90) return {Operands::bf16, Operands::mxfp8_exact};
  if (device.generation() == 100 || device.generation() == 103) return {Operands::bf16, Operands::mxfp8};
  return {};
}

void run(kernels::GroupedGemm& gemm, const Ragged& ragged) {
  gemm.offsets = ragged.offsets.as<int>(), gemm.experts = kExperts, gemm.rows = kRows;
  ragged.device.run([&](cudaStream_t stream) { MOELINE_CUDA(kernels::grouped_gemm(gemm, stream)); });
}

double relative_error(double difference, double reference) { return std::sqrt(difference / reference); }

double fprop_error(Ragged& ragged, Operands operands) {
  DeviceMemory d(static_cast<std::size_t>(kRows) * kN * 2);
  kernels::GroupedGemm gemm{.product = Product::fprop,
                            .operands = operands,
                            .a = ragged.x.data(),
                            .b = ragged.w.data(),
                            .d = d.data(),
                            .n = kN,
                            .k = kK};
  const bool eight = operands != Operands::bf16;
  const ScaleForm form = operands == Operands::mxfp8_exact ? ScaleForm::block : ScaleForm::tiled;
  const Eight a(ragged.x, form, false, 1, ragged.device), b(ragged.w, form, false, kExperts, ragged.device);
  if (eight)
    gemm.a = a.values.data(), gemm.b = b.values.data(), gemm.scale_a = a.scales.data(), gemm.scale_b = b.scales.data();
  run(gemm, ragged);
  CHECK(d.guards_alive());
  double difference = 0, reference = 0;
  for (int e = 0; e < kExperts; ++e) {
    for (int row = kOffsets[static_cast<std::size_t>(e)]; row < kOffsets[static_cast<std::size_t>(e) + 1]; row += 31) {
      const auto got = d.read<std::uint16_t>(static_cast<std::size_t>(row) * kN, kN);
      const std::vector<float> x = eight ? decoded(ragged.x.row(0, row)) : ragged.x.row(0, row);
      for (int n = 0; n < kN; n += 7) {
        const std::vector<float> w = eight ? decoded(ragged.w.row(e, n)) : ragged.w.row(e, n);
        const double exact = exact_dot(x.data(), w.data(), kK).value,
                     error = decode_bf16(got[static_cast<std::size_t>(n)]) - exact;
        difference += error * error, reference += exact * exact;
      }
    }
  }
  return relative_error(difference, reference);
}

double wgrad_error(Ragged& ragged, Operands operands) {
  DeviceMemory d(static_cast<std::size_t>(kExperts) * kN * kK * 4);
  kernels::GroupedGemm gemm{.product = Product::wgrad,
                            .operands = operands,
                            .a = ragged.dy.data(),
                            .b = ragged.x.data(),
                            .d = d.data(),
                            .m = kN,
                            .n = kK};
  const bool eight = operands != Operands::bf16;
  const ScaleForm form = operands == Operands::mxfp8_exact ? ScaleForm::block : ScaleForm::tiled;
  const Eight a(ragged.dy, form, true, 1, ragged.device), b(ragged.x, form, true, 1, ragged.device);
  if (eight)
    gemm.a = a.values.data(), gemm.b = b.values.data(), gemm.scale_a = a.scales.data(), gemm.scale_b = b.scales.data();
  run(gemm, ragged);
  CHECK(d.guards_alive());
  double difference = 0, reference = 0;
  for (int e = 0; e < kExperts; ++e) {
    const int first = kOffsets[static_cast<std::size_t>(e)], count = kOffsets[static_cast<std::size_t>(e) + 1] - first;
    for (int m = 0; m < kN; m += 37) {
      const auto got = d.read<float>((static_cast<std::size_t>(e) * kN + static_cast<std::size_t>(m)) * kK, kK);
      const auto segment = [&](const Source& source, int column) {
        const std::vector<float> whole = source.column(0, column);
        const std::vector<float> part(whole.begin() + first, whole.begin() + first + count);
        return eight && count > 0 ? decoded(part) : part;
      };
      const std::vector<float> dy = segment(ragged.dy, m);
      for (int n = 0; n < kK; n += 29) {
        const std::vector<float> x = segment(ragged.x, n);
        const double exact = exact_dot(dy.data(), x.data(), dy.size()).value,
                     error = got[static_cast<std::size_t>(n)] - exact;
        difference += error * error, reference += exact * exact;
      }
    }
  }
  return relative_error(difference, reference);
}

}  // namespace

TEST_CASE("experts of zero to eight tiles are multiplied each with its own weights", "[gpu]") {
  backend_at_hand();
  Device device(0);
  Ragged ragged(device);
  for (const Operands operands : formats(device)) {
    INFO("operands " << static_cast<int>(operands));
    CHECK(fprop_error(ragged, operands) < 4e-3);
    CHECK(wgrad_error(ragged, operands) < 1e-3);
  }
}

}  // namespace moeline
