#include <bit>
#include <cmath>
#include <span>

#include "validate/codec.hpp"
#include "validate/host/buffer.hpp"
#include "validate/host/cases.hpp"
#include "validate/oracle.hpp"

namespace moeline {
namespace {

// STREAM's passes: a = b; sum of a; a = constant; a = b + 3 c.
class Pass : public HostRun {
 public:
  Pass(const Case& wanted, Team& team)
      : HostRun(team),
        kind_(wanted.kind),
        count_(static_cast<std::size_t>(wanted.shape.at("bytes") / sizeof(double) / arrays())),
        to_(kind_ == "read" ? 0 : count_),
        b_(kind_ == "write" ? 0 : count_),
        c_(kind_ == "triad" ? count_ : 0),
        sums_(static_cast<std::size_t>(team.size())) {
    for (std::size_t i = 0; i < b_.size(); ++i) b_[i] = static_cast<double>(i % 1021 + wanted.seed);
    for (std::size_t i = 0; i < c_.size(); ++i) c_[i] = static_cast<double>(i % 509);
  }

  Check check() override {
    to_.poison();
    sums_.poison();
    run();
    if (!to_.guards_alive()) return {.problem = "a canary beside the output died"};
    double wanted = 0, sum = 0;
    for (const double value : std::span(sums_.data(), kind_ == "read" ? sums_.size() : 0)) sum += value;
    for (std::size_t i = 0; i < count_; ++i) {
      const double expected = kind_ == "write" ? kWritten : kind_ == "triad" ? b_[i] + 3 * c_[i] : b_[i];
      wanted += expected;
      // whole numbers far below 2^53: exact
      if (kind_ != "read" && !(std::fabs(to_[i] - expected) <= 0))
        return {.error = 1, .problem = "element " + std::to_string(i) + " is wrong"};
    }
    if (kind_ == "read" && !(std::fabs(sum - wanted) <= 0)) return {.error = 1, .problem = "the sum is wrong"};
    return {.passed = true};
  }

 private:
  static constexpr double kWritten = 42;
  double arrays() const { return kind_ == "copy" ? 2 : kind_ == "triad" ? 3 : 1; }

  void work(int member) override {
    const Slice s = slice(count_, member, team().size(), 8);
    double* const to = to_.data();
    const double *const b = b_.data(), *const c = c_.data();
    if (kind_ == "copy") std::copy(b + s.begin, b + s.end, to + s.begin);
    if (kind_ == "write") std::fill(to + s.begin, to + s.end, kWritten);
    if (kind_ == "read") sums_[static_cast<std::size_t>(member)] = sum(b + s.begin, b + s.end);
    if (kind_ == "triad") {
      for (std::size_t i = s.begin; i < s.end; ++i) to[i] = b[i] + 3 * c[i];
    }
  }

  // As many sums as hide the latency of an addition.
  static double sum(const double* begin, const double* end) {
    double sums[64] = {}, rest = 0;
    for (; begin + 64 <= end; begin += 64) {
      for (int lane = 0; lane < 64; ++lane) sums[lane] += begin[lane];
    }
    for (; begin < end; ++begin) rest += *begin;
    for (const double part : sums) rest += part;
    return rest;
  }

  std::string kind_;
  std::size_t count_;
  Buffer<double> to_, b_, c_, sums_;
};

// bf16 -> E4M3 with a scale for 32 neighbours of a row, or of a column, or both from one read.
class Quantise : public HostRun {
 public:
  Quantise(const Case& wanted, Team& team)
      : HostRun(team),
        rows_(static_cast<std::size_t>(wanted.shape.at("rows"))),
        columns_(static_cast<std::size_t>(wanted.shape.at("columns"))),
        from_(rows_ * columns_),
        elements_(rows_ * columns_),
        scales_(rows_ * blocks()) {
    const std::vector<float> values = random_operand(rows_, columns_, wanted.seed);
    for (std::size_t i = 0; i < values.size(); ++i) from_[i] = encode_bf16(values[i]);
  }

  // Byte for byte.
  Check check() override {
    elements_.poison();
    scales_.poison();
    run();
    if (!elements_.guards_alive() || !scales_.guards_alive()) return {.problem = "a canary beside the output died"};
    std::vector<float> values(from_.size());
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = decode_bf16(from_[i]);
    const ScaledMatrix expected = quantise(values.data(), rows_, columns_);
    for (std::size_t i = 0; i < expected.scales.size(); ++i) {
      if (scales_[i] != expected.scales[i])
        return {.error = 1, .problem = "scale " + std::to_string(i) + " differs from the codec's"};
    }
    for (std::size_t i = 0; i < expected.elements.size(); ++i) {
      if (elements_[i] != expected.elements[i])
        return {.error = 1, .problem = "element " + std::to_string(i) + " differs from the codec's"};
    }
    return {.passed = true};
  }

 private:
  std::size_t blocks() const { return (columns_ + kScaleBlock - 1) / kScaleBlock; }

  // To nearest even at E4M3's last place by adding and taking away a number whose last place that is; operands are
  // finite.
  static std::uint8_t encoded(float value) {
    const auto bits = std::bit_cast<std::uint32_t>(value);
    const float magnitude = std::min(std::bit_cast<float>(bits & 0x7fffffff), 448.0F);
    const std::uint32_t power =
        std::max(std::bit_cast<std::uint32_t>(magnitude) >> 23, 121U);  // 2^-6, the smallest normal
    const float place = std::bit_cast<float>((power + 20) << 23);       // 2^23 last places
    const auto units = static_cast<std::uint32_t>(std::bit_cast<std::uint32_t>(magnitude + place) & 0x1f);
    return static_cast<std::uint8_t>((bits >> 24 & 0x80) | (units + (power - 121) * 8));
  }

  void work(int member) override {
    const Slice rows = slice(rows_, member, team().size());
    for (std::size_t row = rows.begin; row < rows.end; ++row) {
      for (std::size_t block = 0; block < blocks(); ++block) {
        const std::size_t begin = row * columns_ + block * kScaleBlock,
                          end = std::min(begin + kScaleBlock, (row + 1) * columns_);
        std::uint16_t amax = 0;  // magnitudes of bf16 are ordered as their bits are
        for (std::size_t i = begin; i < end; ++i) amax = std::max(amax, static_cast<std::uint16_t>(from_[i] & 0x7fff));
        const std::uint8_t scale = scale_for(Float8::e4m3, decode_bf16(amax), ScaleRounding::ceil);
        scales_[row * blocks() + block] = scale;
        const float inverse = inverse_scale(scale);
        for (std::size_t i = begin; i < end; ++i) {
          elements_[i] = encoded(std::bit_cast<float>(static_cast<std::uint32_t>(from_[i]) << 16) * inverse);
        }
      }
    }
  }

  std::size_t rows_, columns_;
  Buffer<std::uint16_t> from_;
  Buffer<std::uint8_t> elements_, scales_;
};

}  // namespace

std::unique_ptr<Run> pass_run(const Case& wanted, Team& team) { return std::make_unique<Pass>(wanted, team); }
std::unique_ptr<Run> quantise_run(const Case& wanted, Team& team) { return std::make_unique<Quantise>(wanted, team); }

}  // namespace moeline
