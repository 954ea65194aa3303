#include "spec/popularity.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <numeric>
#include <span>
#include <sstream>

namespace moeline {
namespace {

double normal_draw(Random& random) {  // Box-Muller
  const double radius = std::sqrt(-2 * std::log(1 - random.next()));
  return radius * std::cos(2 * std::acos(-1.0) * random.next());
}

// Marsaglia and Tsang, ACM TOMS 26 (2000).
double gamma_draw(double shape, Random& random) {
  if (shape < 1) return gamma_draw(shape + 1, random) * std::pow(1 - random.next(), 1 / shape);
  const double d = shape - 1.0 / 3, c = 1 / std::sqrt(9 * d);
  for (;;) {
    const double x = normal_draw(random), v = std::pow(1 + c * x, 3);
    if (v > 0 && std::log(1 - random.next()) < 0.5 * x * x + d - d * v + d * std::log(v)) return d * v;
  }
}

void zipf_row(std::span<double> row, double exponent, Random& random) {
  for (std::size_t i = 0; i < row.size(); ++i) row[i] = std::pow(static_cast<double>(i + 1), -exponent);
  for (std::size_t i = row.size(); i > 1; --i)
    std::swap(row[i - 1], row[static_cast<std::size_t>(random.next() * static_cast<double>(i))]);
}

void normalise(std::span<double> row) {
  const double sum = std::accumulate(row.begin(), row.end(), 0.0);
  for (double& share : row) share /= sum;
}

double number_at(std::string_view text, const std::string& path, std::size_t line, std::size_t column) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\r')) text.remove_suffix(1);
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || !std::isfinite(value) || value < 0)
    throw SpecError(fmt::format("{}:{}:{}", path, line, column),
                    fmt::format("\"{}\" is no load: expected a number from 0 on", text));
  return value;
}

std::vector<double> numbers_of(const std::string& text, const std::string& path, std::size_t line) {
  std::vector<double> numbers;
  std::size_t at = 0;
  while (at <= text.size()) {
    const std::size_t comma = std::min(text.find(',', at), text.size());
    numbers.push_back(number_at(std::string_view(text).substr(at, comma - at), path, line, at + 1));
    at = comma + 1;
  }
  return numbers;
}

// One choice per line; layers are numbered from 0 and need not be in order.
void add_choice(ExpertShares& shares, const std::vector<double>& pair, const std::string& where) {
  if (pair.size() != 2 || pair[1] >= static_cast<double>(shares.experts) || pair[0] >= 100000)
    throw SpecError(where, fmt::format("expected layer,expert with an expert below {}", shares.experts));
  const auto place = static_cast<std::size_t>(pair[0]) * shares.experts + static_cast<std::size_t>(pair[1]);
  if (place >= shares.values.size()) shares.values.resize((static_cast<std::size_t>(pair[0]) + 1) * shares.experts);
  shares.values[place] += 1;
}

}  // namespace

ExpertShares draw_shares(const Routing& routing, std::size_t experts, std::size_t rows, std::uint64_t seed) {
  ExpertShares shares{experts, std::vector<double>(experts * rows)};
  Random random(seed);
  for (std::size_t i = 0; i < rows; ++i) {
    const std::span<double> row(&shares.values[i * experts], experts);
    if (routing.popularity == Popularity::zipf) {
      zipf_row(row, routing.alpha, random);
    } else {
      for (double& share : row)
        share = routing.popularity == Popularity::dirichlet
                    ? std::max(gamma_draw(routing.alpha, random), 1e-300)
                    : power_law_draw(1, routing.spread, routing.alpha, random.next());
    }
    normalise(row);
  }
  return shares;
}

ExpertShares read_shares(const std::string& path, std::size_t experts) {
  std::istringstream text(read_file(path));
  ExpertShares shares{experts};
  std::string line;
  bool trace = false;
  for (std::size_t number = 1; std::getline(text, line); ++number) {
    if (!line.empty() && line.back() == '\r') line.pop_back();
    if (line.empty() || line[0] == '#') continue;
    if (number == 1 && line == "layer,expert") {
      trace = true;
      continue;
    }
    const std::vector<double> numbers = numbers_of(line, path, number);
    const std::string where = fmt::format("{}:{}", path, number);
    if (trace) {
      add_choice(shares, numbers, where);
      continue;
    }
    if (numbers.size() != experts)
      throw SpecError(where, fmt::format("{} loads, the model has {} experts", numbers.size(), experts));
    shares.values.insert(shares.values.end(), numbers.begin(), numbers.end());
  }
  std::vector<double> used;  // layers nobody chose in are not MoE layers
  for (std::size_t i = 0; i < shares.rows(); ++i) {
    std::vector<double> row = shares.row(i);
    if (std::accumulate(row.begin(), row.end(), 0.0) <= 0) continue;
    normalise(row);
    used.insert(used.end(), row.begin(), row.end());
  }
  if (used.empty()) throw SpecError(path, "holds no load");
  shares.values = std::move(used);
  return shares;
}

}  // namespace moeline
