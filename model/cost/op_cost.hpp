// What does one op cost, what limits it, and how sure is that?
#pragma once

#include <string_view>

#include "units.hpp"

namespace moeline {

// Where a number comes from, strongest first. A total is as good as its weakest part.
enum class Source { measured, fitted, extrapolated, bound, assumed };
inline Source weakest(Source a, Source b) { return a < b ? b : a; }

struct OpCost {
  Flops flops;
  Bytes bytes;                    // moved through the limiting memory or link
  Seconds time;
  double spread = 0;              // standard deviation of log(measured / predicted)
  std::string_view bound_by;      // "tensor", "HBM", "latency", or the name of a fabric tier
  Source source = Source::bound;
};

std::string_view name(Source source);

}  // namespace moeline
