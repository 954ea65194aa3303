#include <algorithm>
#include <cmath>
#include <random>
#include <set>

#include "validate/baselines/cublas_grouped.hpp"
#include "validate/codec.hpp"
#include "validate/cuda/cases.hpp"
#include "validate/cuda/source.hpp"
#include "validate/kernels/grouped_gemm.hpp"
#include "validate/kernels/quantise.hpp"
#include "validate/oracle.hpp"

namespace moeline {
namespace {

using kernels::Operands;
using kernels::Product;
using kernels::QuantisedCopy;
using kernels::ScaleForm;

int up_to_tile(int rows) { return (rows + 127) / 128 * 128; }

Product product_named(const std::string& kind) {
  return kind == "wgrad" ? Product::wgrad : kind == "dgrad" ? Product::dgrad : Product::fprop;
}

// Sizes of the product, and how its operands lie in memory before they are quantised.
struct Shape {
  explicit Shape(const Case& wanted)
      : product(product_named(wanted.kind)),
        groups(wanted.op == "gemm" ? 1 : size_of(wanted, "groups")),
        m(size_of(wanted, "m")),
        n(size_of(wanted, "n")),
        k(size_of(wanted, "k")) {}

  bool sums_rows() const { return product == Product::wgrad; }
  int rows() const { return sums_rows() ? k : m; }  // of an expert
  int segment() const { return up_to_tile(rows()); }
  SourceShape a() const { return {groups, segment(), rows(), sums_rows() ? m : k}; }
  SourceShape b() const {
    if (sums_rows()) return {groups, segment(), rows(), n};
    return product == Product::fprop ? SourceShape{groups, n, n, k} : SourceShape{groups, k, k, n};
  }
  std::size_t output() const {
    return static_cast<std::size_t>(groups) * static_cast<std::size_t>(sums_rows() ? m : segment()) *
           static_cast<std::size_t>(n);
  }

  Product product;
  int groups, m, n, k;
};

// One operand in MXFP8, summed over rows or over columns of its source.
class Quantised {
 public:
  Quantised() = default;
  // `apart`: every matrix by itself, [matrix][line][k]; else all as one tall matrix.
  Quantised(const Source& source, ScaleForm form, bool along_rows, bool apart, Device& device)
      : values_(source.elements()),
        scales_(source.elements() / 32 * (form == ScaleForm::block ? 4 : 1)),
        largest_shift_(DeviceMemory::of(std::vector<int>{0})) {
    const SourceShape& shape = source.shape();
    kernels::Quantise pass{.form = form, .input = source.data(), .columns = shape.columns};
    pass.rows = apart ? shape.rows : shape.rows * shape.matrices;
    pass.batch = apart ? shape.matrices : 1;
    pass.largest_shift = largest_shift_.as<int>();
    (along_rows ? pass.column_wise : pass.row_wise) = {values_.as<std::uint8_t>(), scales_.data()};
    device.run([&](cudaStream_t stream) { MOELINE_CUDA(kernels::quantise(pass, stream)); });
  }

  // Lines of `length`: whole lines share a scale from now on.
  void fold_lines(int length, Device& device) {
    const int lines = static_cast<int>(values_.bytes() / static_cast<std::size_t>(length));
    DeviceMemory folded(static_cast<std::size_t>(lines) * sizeof(float));
    device.run([&](cudaStream_t stream) {
      MOELINE_CUDA(kernels::fold_rows({values_.as<std::uint8_t>(), scales_.as<std::uint8_t>(), folded.as<float>(),
                                       lines, length, largest_shift_.as<int>()},
                                      stream));
    });
    scales_ = std::move(folded);
  }
  // Folding further than this changes results (exponents.hpp).
  void require_foldable() const {
    const int shift = largest_shift_.read<int>(0, 1).front();
    if (shift > kFoldableSpread)
      throw HardwareError("scales of one group are " + std::to_string(shift) +
                          " binades apart: measure moeline_exact instead");
  }
  const void* values() const { return values_.data(); }
  const void* scales() const { return scales_.data(); }
  const std::uint8_t* values_at(std::size_t element) const { return values_.as<std::uint8_t>() + element; }
  const std::uint8_t* scales_at(std::size_t element) const { return scales_.as<std::uint8_t>() + element / 32; }

 private:
  DeviceMemory values_, scales_, largest_shift_;
};

class ProductRun : public CudaRun {
 public:
  ProductRun(const Case& wanted, Device& device)
      : CudaRun(device),
        shape_(wanted),
        dtype_(wanted.dtype),
        a_(shape_.a(), wanted.seed, device),
        b_(shape_.b(), wanted.seed + 1, device),
        d_(shape_.output() * (shape_.sums_rows() ? 4 : 2)) {}

  Check check() override {
    d_.poison();
    run();
    if (!d_.guards_alive()) return {.error = NAN, .problem = "a canary beside the output died"};
    if (const unsigned long long left = unwritten(); left > 0)
      return {.error = NAN, .problem = std::to_string(left) + " words of the output were not written"};
    const bool fp8 = dtype_ != "bf16";
    // FP8 products are added with 13 bits of fraction, 32 at a time; others in FP32.
    Comparison comparison(fp8 ? std::max(4, shape_.k / 32) : shape_.k, fp8 ? 0x1p-13 : kRoundoffFp32,
                          shape_.sums_rows() ? 0 : kRoundoffBf16, shape_.sums_rows() ? 1e-3 : 4e-3);
    for (const int expert : sampled(shape_.groups, 4)) compare(expert, comparison);
    return comparison.result();
  }

 protected:
  const Shape& shape() const { return shape_; }
  const Source& a() const { return a_; }
  const Source& b() const { return b_; }
  void* output() const { return d_.data(); }
  void* output_of(int expert) const {
    return d_.as<std::uint8_t>() +
           d_.bytes() / static_cast<std::size_t>(shape_.groups) * static_cast<std::size_t>(expert);
  }

 private:
  // First and last, those at borders of tiles, and some others.
  static std::set<int> sampled(int count, int others) {
    std::set<int> chosen{0, count - 1};
    for (const int border : {63, 64, 127, 128, 255, 256}) {
      if (border < count && others > 4) chosen.insert(border);
    }
    std::mt19937 random(static_cast<unsigned>(count));
    for (int i = 0; i < others; ++i) chosen.insert(static_cast<int>(random() % static_cast<unsigned>(count)));
    return chosen;
  }

  // Of the rows that stand for tokens; what a library does with padding is its own affair.
  unsigned long long unwritten() {
    const DeviceMemory found = DeviceMemory::of(std::vector<unsigned long long>{0});
    const std::size_t words = d_.bytes() / 4 / static_cast<std::size_t>(shape_.groups);
    const std::size_t of_tokens =
        shape_.sums_rows() ? words
                           : words / static_cast<std::size_t>(shape_.segment()) * static_cast<std::size_t>(shape_.m);
    device().run([&](cudaStream_t stream) {
      for (int e = 0; e < shape_.groups; ++e)
        MOELINE_CUDA(kernels::count_poison(output_of(e), of_tokens, found.as<unsigned long long>(), stream));
    });
    return found.read<unsigned long long>(0, 1).front();
  }

  // What the tensor cores were given.
  std::vector<float> as_multiplied(const std::vector<float>& line, bool of_b) const {
    if (dtype_ == "bf16") return line;
    ScaledMatrix matrix = quantise(line.data(), 1, line.size());
    if (dtype_ == "fp8" || (dtype_ == "fp8_block" && of_b))
      std::ranges::fill(matrix.scales, 127);  // multiplied without
    return dequantise(matrix);
  }
  std::vector<float> line_of_a(int expert, int i) const {
    return shape_.sums_rows() ? a_.column(expert, i) : a_.row(expert, i);
  }
  std::vector<float> line_of_b(int expert, int i) const {
    return shape_.product == Product::fprop ? b_.row(expert, i) : b_.column(expert, i);
  }

  void compare(int expert, Comparison& comparison) const {
    const int rows_of_output = shape_.sums_rows() ? shape_.m : shape_.segment();
    std::map<int, std::vector<float>> of_b;
    for (const int j : sampled(shape_.n, 16)) of_b[j] = as_multiplied(line_of_b(expert, j), true);
    for (const int i : sampled(shape_.m, 16)) {
      const std::size_t first =
          (static_cast<std::size_t>(expert) * static_cast<std::size_t>(rows_of_output) + static_cast<std::size_t>(i)) *
          static_cast<std::size_t>(shape_.n);
      const std::vector<float> a_line = as_multiplied(line_of_a(expert, i), false), row = row_of_output(first);
      for (const auto& [j, b_line] : of_b) {
        const auto at = static_cast<std::size_t>(j);
        comparison.add(row[at], exact_dot(a_line.data(), b_line.data(), a_line.size()), first + at);
      }
    }
  }

  std::vector<float> row_of_output(std::size_t first) const {
    const auto count = static_cast<std::size_t>(shape_.n);
    if (shape_.sums_rows()) return d_.read<float>(first, count);
    std::vector<float> row;
    for (const std::uint16_t bits : d_.read<std::uint16_t>(first, count)) row.push_back(decode_bf16(bits));
    return row;
  }

  Shape shape_;
  std::string dtype_;
  Source a_, b_;
  DeviceMemory d_;
};

std::vector<int> even_segments(const Shape& shape) {
  std::vector<int> offsets;
  for (int e = 0; e <= shape.groups; ++e) offsets.push_back(e * shape.segment());
  return offsets;
}

// Our own grouped kernels.
class OwnProduct : public ProductRun {
 public:
  OwnProduct(const Case& wanted, Device& device)
      : ProductRun(wanted, device),
        offsets_(DeviceMemory::of(even_segments(shape()))),
        dequantised_(wanted.library == "moeline_bf16") {
    const bool mxfp8 = wanted.dtype == "mxfp8";
    gemm_ = {.product = shape().product,
             .a = a().data(),
             .b = b().data(),
             .d = output(),
             .offsets = offsets_.as<int>(),
             .experts = shape().groups,
             .rows = shape().groups * shape().segment(),
             .m = shape().m,
             .n = shape().n,
             .k = shape().k};
    if (!mxfp8) return;
    const bool folded = !dequantised_ && device.generation() == 90 && wanted.library != "moeline_exact";
    gemm_.operands = dequantised_                ? Operands::bf16
                     : device.generation() != 90 ? Operands::mxfp8
                     : folded                    ? Operands::mxfp8_folded
                                                 : Operands::mxfp8_exact;
    const ScaleForm form = gemm_.operands == Operands::mxfp8_folded  ? ScaleForm::folded
                           : gemm_.operands == Operands::mxfp8_exact ? ScaleForm::block
                                                                     : ScaleForm::tiled;
    const bool sums_rows = shape().sums_rows();
    quantise_operands(sums_rows, form, folded);
  }

 private:
  void quantise_operands(bool sums_rows, ScaleForm form, bool folded) {
    qa_ = Quantised(a(), form, sums_rows, false, device());
    // Weights are quantised expert by expert, activations as one matrix; folded weights share a scale per row.
    const bool rows_share = folded && !sums_rows, transposed = shape().product != Product::fprop;
    qb_ = Quantised(b(), rows_share ? ScaleForm::tiled : form, transposed, !sums_rows, device());
    if (rows_share) qb_.fold_lines(shape().k, device());
    qa_.require_foldable(), qb_.require_foldable();
    gemm_.scale_a = qa_.scales(), gemm_.scale_b = qb_.scales();
    if (!dequantised_) {
      gemm_.a = qa_.values(), gemm_.b = qb_.values();
      return;
    }
    wide_a_ = DeviceMemory(a().elements() * 2), wide_b_ = DeviceMemory(b().elements() * 2);
    gemm_.a = wide_a_.data(), gemm_.b = wide_b_.data();
    gemm_.product = Product::fprop;  // the copies of dgrad lie K-major, as fprop's do
  }

  void launch(cudaStream_t stream) override {
    if (dequantised_) {
      const int k = shape().k;
      const auto widen = [&](const Quantised& q, const DeviceMemory& wide) {
        const int lines = static_cast<int>(wide.bytes() / 2 / static_cast<std::size_t>(k));
        MOELINE_CUDA(kernels::dequantise({q.values_at(0), q.scales_at(0), wide.data(), lines, k}, stream));
      };
      widen(qa_, wide_a_), widen(qb_, wide_b_);
    }
    MOELINE_CUDA(kernels::grouped_gemm(gemm_, stream));
  }

  DeviceMemory offsets_, wide_a_, wide_b_;
  bool dequantised_;
  Quantised qa_, qb_;
  kernels::GroupedGemm gemm_;
};

// cuBLASLt, one product per expert.
class LibraryProduct : public ProductRun {
 public:
  LibraryProduct(const Case& wanted, Device& device, CublasLt& library)
      : ProductRun(wanted, device), library_(library), block_(wanted.dtype == "fp8_block") {
    const bool mxfp8 = wanted.dtype == "mxfp8", hopper = device.generation() == 90;
    lt_.format = wanted.dtype == "bf16"  ? LtFormat::bf16
                 : wanted.dtype == "fp8" ? LtFormat::fp8_tensor
                 : block_                ? LtFormat::fp8_block
                 : hopper                ? LtFormat::fp8_rows
                                         : LtFormat::mxfp8;
    const bool sums_rows = shape().sums_rows();
    // 8-bit operands come in 16 rows at least; float scales per 128 lie with the padded number of rows between them.
    const bool padded = lt_.format == LtFormat::fp8_block || lt_.format == LtFormat::fp8_rows;
    lt_.m = sums_rows || lt_.format == LtFormat::bf16 ? shape().m
            : padded                                  ? shape().segment()
                                                      : (shape().m + 15) / 16 * 16;
    lt_.n = shape().n, lt_.k = sums_rows ? shape().segment() : shape().k;
    lt_.fp32_output = sums_rows;
    if (lt_.format == LtFormat::bf16) {
      lt_.a_along_m = sums_rows, lt_.b_along_n = shape().product != Product::fprop;
    } else {
      const ScaleForm form = block_ || (mxfp8 && hopper) ? ScaleForm::folded : ScaleForm::tiled;
      qa_ = Quantised(a(), form, sums_rows, true, device);
      qb_ = Quantised(b(), block_ ? ScaleForm::tiled : form, shape().product != Product::fprop, true, device);
      unit_ = DeviceMemory::of(std::vector<float>(
          static_cast<std::size_t>(shape().n) * static_cast<std::size_t>(shape().k) / 1024 + 1024, 1.0f));
    }
    if (!library_.supports(lt_)) throw HardwareError("cuBLASLt has no algorithm for this product on this device");
  }

 private:
  int launches() const override { return shape().groups; }
  void launch(cudaStream_t stream) override {
    const auto experts = static_cast<std::size_t>(shape().groups);
    const std::size_t of_a = a().elements() / experts, of_b = b().elements() / experts;
    for (std::size_t e = 0; e < experts; ++e) {
      LtOperands operands{.d = output_of(static_cast<int>(e))};
      if (lt_.format == LtFormat::bf16) {
        operands.a = static_cast<const std::uint16_t*>(a().data()) + e * of_a;
        operands.b = static_cast<const std::uint16_t*>(b().data()) + e * of_b;
      } else {
        const bool tensor = lt_.format == LtFormat::fp8_tensor;
        operands.a = qa_.values_at(e * of_a), operands.b = qb_.values_at(e * of_b);
        operands.scale_a = tensor ? unit_.data() : qa_.scales_at(e * of_a);
        operands.scale_b = tensor || block_ ? unit_.data() : qb_.scales_at(e * of_b);
      }
      library_.multiply(lt_, operands, stream);
    }
  }

  CublasLt& library_;
  bool block_;
  LtShape lt_;
  Quantised qa_, qb_;
  DeviceMemory unit_;
};

// cuBLAS, all experts in one call.
class GroupedLibraryProduct : public ProductRun {
 public:
  GroupedLibraryProduct(const Case& wanted, Device& device)
      : ProductRun(wanted, device),
        library_({shape().groups, shape().m, shape().n, shape().k, shape().segment(), shape().product != Product::fprop},
                 a().data(), b().data(), output()) {}

 private:
  void launch(cudaStream_t stream) override { library_.multiply(stream); }
  CublasGrouped library_;
};

}  // namespace

std::vector<std::string> product_libraries(const Case& wanted, const Device& device, bool own_products_work) {
  const int generation = device.generation();
  const bool hopper = generation == 90, blackwell = is_blackwell(generation);
  const Shape shape(wanted);
  const bool whole_tiles = shape.n % 128 == 0 && (shape.sums_rows() ? shape.m : shape.k) % 128 == 0;
  std::vector<std::string> own, library{"cublaslt"};
  if (whole_tiles && (hopper || (blackwell && own_products_work))) {
    if (wanted.dtype == "bf16" && generation != 120) own = {"moeline"};
    if (wanted.dtype == "mxfp8" && hopper) own = {"moeline", "moeline_exact"};
    if (wanted.dtype == "mxfp8" && hopper && !shape.sums_rows()) own.push_back("moeline_bf16");
    if (wanted.dtype == "mxfp8" && blackwell) own = {"moeline"};
  }
  const bool eight_bits = wanted.dtype == "mxfp8" || wanted.dtype == "fp8" || wanted.dtype == "fp8_block";
  if (wanted.dtype != "bf16" && !(eight_bits && whole_tiles && generation >= 89)) library.clear();
  if (wanted.dtype == "fp8_block" && !hopper) library.clear();
  if (wanted.dtype == "mxfp8" && !hopper && !blackwell) library.clear();
  if ((wanted.dtype == "fp8" || wanted.dtype == "fp8_block") && shape.product != Product::fprop) library.clear();
  if (wanted.op == "grouped_gemm" && wanted.dtype == "bf16" && !shape.sums_rows()) library.push_back("cublas_grouped");
  // Experts: ours first. One product, and Blackwell until someone has run ours there: the library's first.
  const bool library_first = wanted.op == "gemm" || blackwell;
  std::vector<std::string>&first = library_first ? library : own, &second = library_first ? own : library;
  first.insert(first.end(), second.begin(), second.end());
  return first;
}

std::unique_ptr<Run> product_run(const Case& wanted, Device& device, CublasLt& baseline) {
  if (wanted.library == "cublaslt") return std::make_unique<LibraryProduct>(wanted, device, baseline);
  if (wanted.library == "cublas_grouped") return std::make_unique<GroupedLibraryProduct>(wanted, device);
  return std::make_unique<OwnProduct>(wanted, device);
}

}  // namespace moeline
