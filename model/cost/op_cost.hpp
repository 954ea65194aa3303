// What does one op cost, what limits it, and how sure is that?
#pragma once

#include <array>
#include <string_view>

#include "units.hpp"

namespace moeline {

// Where a number comes from, strongest first. A total is as good as its weakest part.
enum class Source { measured, fitted, extrapolated, bound, assumed };
inline Source weakest(Source a, Source b) { return a < b ? b : a; }

// How far measurements lie from a prediction: standard deviation of log(measured / predicted), by predicted time.
struct Spread {
  static constexpr std::size_t kClasses = 4;
  std::array<Seconds, kClasses - 1> edges{};  // ascending; class i + 1 begins at edge i
  std::array<double, kClasses> sigma{};

  double at(Seconds time) const {
    std::size_t c = 0;
    while (c + 1 < kClasses && time >= edges[c]) ++c;
    return sigma[c];
  }
};
// The same at every size.
Spread even_spread(double sigma);
Spread widened(Spread spread, double factor);

struct OpCost {
  Flops flops;
  Bytes bytes;  // moved through the limiting memory or link
  Seconds time;
  double spread = 0;          // standard deviation of log(measured / predicted)
  std::string_view bound_by;  // "tensor", "HBM", "latency", or the name of a fabric tier
  Source source = Source::bound;
};

std::string_view name(Source source);

}  // namespace moeline
