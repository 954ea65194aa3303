#include <array>
#include <bit>
#include <cmath>
#include <random>

#define EIGEN_DONT_PARALLELIZE  // the team is the parallelism
#include <Eigen/Core>

#include "validate/codec.hpp"
#include "validate/host/buffer.hpp"
#include "validate/host/cases.hpp"
#include "validate/oracle.hpp"

namespace moeline {
namespace {

using Matrix = Eigen::Map<Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>>;

// The codec's bf16, inlined so that it vectorises.
float widened(std::uint16_t bits) { return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16); }
std::uint16_t narrowed(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  return static_cast<std::uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

std::array<float, 256> table_of_e4m3() {
  std::array<float, 256> table{};
  for (int i = 0; i < 256; ++i) table[static_cast<std::size_t>(i)] = decode(Float8::e4m3, static_cast<std::uint8_t>(i));
  return table;
}

// Rows of k neighbours in one of the formats, and their values in fp32, which fp32 itself does not copy.
class Operand {
 public:
  Operand(const std::string& dtype, std::size_t rows, std::size_t k, std::uint64_t seed)
      : rows_(rows), k_(k), wide_(rows * k) {
    std::vector<float> values = random_operand(rows, k, seed);
    if (dtype == "bf16") {
      for (const float value : values) bf16_.push_back(encode_bf16(value));
    } else if (dtype == "mxfp8") {
      scaled_ = quantise(values.data(), rows, k);
    }
    std::copy(values.begin(), values.end(), wide_.data());
    widen({0, rows});
  }

  // Rows as fp32 again; nothing to do for fp32.
  void widen(Slice rows) {
    float* const to = wide_.data();
    if (!bf16_.empty()) {
      for (std::size_t i = rows.begin * k_; i < rows.end * k_; ++i) to[i] = widened(bf16_[i]);
    }
    if (scaled_.elements.empty()) return;
    static const std::array<float, 256> kE4m3 = table_of_e4m3();
    const std::size_t blocks = scaled_.blocks_per_row();
    for (std::size_t row = rows.begin; row < rows.end; ++row) {
      for (std::size_t block = 0; block < blocks; ++block) {
        const float scale = decode_e8m0(scaled_.scales[row * blocks + block]);
        const std::size_t end = std::min((block + 1) * kScaleBlock, k_);
        for (std::size_t i = block * kScaleBlock; i < end; ++i)
          to[row * k_ + i] = kE4m3[scaled_.elements[row * k_ + i]] * scale;
      }
    }
  }
  float* row(std::size_t r) { return wide_.data() + r * k_; }
  const float* row(std::size_t r) const { return wide_.data() + r * k_; }
  std::size_t rows() const { return rows_; }

 private:
  std::size_t rows_, k_;
  Buffer<float> wide_;
  std::vector<std::uint16_t> bf16_;
  ScaledMatrix scaled_;
};

class Product : public HostRun {
 public:
  Product(const Case& wanted, Team& team)
      : HostRun(team),
        groups_(wanted.op == "gemm" ? 1 : size(wanted, "groups")),
        m_(size(wanted, "m")),
        n_(size(wanted, "n")),
        k_(size(wanted, "k")),
        fp32_(wanted.dtype == "fp32"),
        a_(wanted.dtype, groups_ * m_, k_, wanted.seed),
        w_(wanted.dtype, groups_ * n_, k_, wanted.seed + 1),
        sums_(groups_ * m_ * n_),
        output_(fp32_ ? 0 : groups_ * m_ * n_) {}

  Check check() override {
    sums_.poison();
    output_.poison();
    run();
    if (!sums_.guards_alive() || !output_.guards_alive()) return {.problem = "a canary beside the output died"};
    const std::size_t elements = sums_.size();
    for (std::size_t i = 0; i < elements; ++i) {
      if (std::isnan(computed(i)))
        return {.error = NAN, .problem = "element " + std::to_string(i) + " was not written"};
    }
    Comparison comparison(static_cast<double>(k_), kRoundoffFp32, fp32_ ? 0 : kRoundoffBf16, fp32_ ? 1e-5 : 4e-3);
    constexpr std::size_t kSampled = 4096;
    std::mt19937_64 random(elements);
    for (std::size_t i = 0; i < std::min(elements, kSampled); ++i) {
      const std::size_t at = elements <= kSampled ? i : random() % elements, row = at / n_, group = row / m_;
      comparison.add(computed(at), exact_dot(a_.row(row), w_.row(group * n_ + at % n_), k_), at);
    }
    return comparison.result();
  }

 private:
  static std::size_t size(const Case& wanted, const char* key) {
    return static_cast<std::size_t>(wanted.shape.at(key));
  }
  double computed(std::size_t i) const { return fp32_ ? sums_[i] : static_cast<double>(widened(output_[i])); }

  // Many experts are dealt out whole; few, or one product, are cut along the longer side of C. Of a cut product every
  // member needs all of one operand: they widen it together first.
  void work(int member) override {
    const int members = team().size();
    const auto step = static_cast<std::size_t>(members);
    if (groups_ >= step) {
      for (auto group = static_cast<std::size_t>(member); group < groups_; group += step) {
        a_.widen({group * m_, group * m_ + m_});
        w_.widen({group * n_, group * n_ + n_});
        multiply(group, {0, m_}, {0, n_});
      }
      return;
    }
    const bool by_columns = n_ >= m_;
    Operand &shared = by_columns ? a_ : w_, &own = by_columns ? w_ : a_;
    if (!fp32_) {
      shared.widen(slice(shared.rows(), member, members));
      team().meet(member);
    }
    const std::size_t length = by_columns ? n_ : m_;
    const Slice mine = slice(length, member, members, 16);
    for (std::size_t group = 0; group < groups_; ++group) {
      own.widen({group * length + mine.begin, group * length + mine.end});
      multiply(group, by_columns ? Slice{0, m_} : mine, by_columns ? mine : Slice{0, n_});
    }
  }

  void multiply(std::size_t group, Slice rows, Slice columns) {
    const auto length = [](Slice s) { return static_cast<Eigen::Index>(s.end - s.begin); };
    const auto k = static_cast<Eigen::Index>(k_);
    const Matrix a(a_.row(group * m_ + rows.begin), length(rows), k),
        w(w_.row(group * n_ + columns.begin), length(columns), k);
    float* const first = sums_.data() + (group * m_ + rows.begin) * n_ + columns.begin;
    Eigen::Map<Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>, 0, Eigen::OuterStride<>> c(
        first, length(rows), length(columns), Eigen::OuterStride<>(static_cast<Eigen::Index>(n_)));
    c.noalias() = a * w.transpose();
    if (fp32_) return;
    for (std::size_t row = rows.begin; row < rows.end; ++row) {
      const std::size_t at = (group * m_ + row) * n_;
      for (std::size_t i = at + columns.begin; i < at + columns.end; ++i) output_[i] = narrowed(sums_[i]);
    }
  }

  std::size_t groups_, m_, n_, k_;
  bool fp32_;
  Operand a_, w_;
  Buffer<float> sums_;
  Buffer<std::uint16_t> output_;
};

}  // namespace

std::unique_ptr<Run> product_run(const Case& wanted, Team& team) { return std::make_unique<Product>(wanted, team); }

}  // namespace moeline
