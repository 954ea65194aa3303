#include "validate/oracle.hpp"

#include <cmath>
#include <numbers>
#include <random>

namespace moeline {
namespace {

// Box and Muller's normal numbers: std::normal_distribution differs between libraries.
class Normal {
 public:
  explicit Normal(std::uint64_t seed) : engine_(seed) {}
  double next() {
    const double radius = std::sqrt(-2 * std::log(1 - uniform()));
    return radius * std::cos(2 * std::numbers::pi * uniform());
  }

 private:
  double uniform() { return static_cast<double>(engine_() >> 11) * 0x1p-53; }
  std::mt19937_64 engine_;
};

}  // namespace

Dot exact_dot(const float* a, const float* b, std::size_t k) {
  Dot dot;
  for (std::size_t i = 0; i < k; ++i) {
    const double product = static_cast<double>(a[i]) * b[i];
    dot.value += product;
    dot.magnitude += std::fabs(product);
  }
  return dot;
}

std::vector<float> random_operand(std::size_t rows, std::size_t columns, std::uint64_t seed) {
  Normal normal(seed);
  std::vector<double> spread(columns);
  for (double& s : spread) s = std::exp2(normal.next());
  // A pool repeated with a stride that divides nothing: operands of gigabytes are wanted in seconds.
  std::vector<float> pool(std::min<std::size_t>(rows * columns, 100'003));
  for (float& value : pool) value = static_cast<float>(normal.next());
  std::vector<float> values(rows * columns);
  for (std::size_t row = 0, drawn = 0; row < rows; ++row) {
    for (std::size_t column = 0; column < columns; ++column, drawn = drawn + 1 < pool.size() ? drawn + 1 : 0)
      values[row * columns + column] = pool[drawn] * static_cast<float>(spread[column]);
  }
  return values;
}

void Comparison::add(double computed, Dot exact, std::size_t index) {
  const double error = computed - exact.value;
  difference_ += error * error;
  reference_ += exact.value * exact.value;
  const double bound = terms_ * exact.magnitude + output_ * (std::fabs(exact.value) + terms_ * exact.magnitude);
  if (problem_.empty() && !(std::fabs(error) <= bound)) {
    problem_ = "element " + std::to_string(index) + " is " + std::to_string(computed) + " where " +
               std::to_string(exact.value) + " is exact, " + std::to_string(bound) + " allowed";
  }
}

Check Comparison::result() const {
  const double error = reference_ > 0 ? std::sqrt(difference_ / reference_) : std::sqrt(difference_);
  Check check{problem_.empty() && error <= tolerance_, error, tolerance_, problem_};
  if (!check.passed && check.problem.empty()) check.problem = "the result as a whole is off";
  return check;
}

}  // namespace moeline
