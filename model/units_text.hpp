// How do people write a quantity, and how do they like to read it?
//
// In:  a decimal number, then a unit that must be there: "4.8 TB/s", "400 Gbit/s", "141 GB", "80 GiB", "3 us",
//      "989 TFLOP/s", "1.98 GHz", "700 W". Powers of ten for kB..PB, of two for KiB..TiB; bit is an eighth of a byte.
// Out: four significant digits at the scale that reads best.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "units.hpp"

namespace moeline {

// What one spelling of a unit means; dimension and size in base units.
struct UnitText {
  std::string_view text;
  Dimension dimension;
  double in_base;
};

// A number and the unit it was written with. `problem` is set (and the rest meaningless) when it cannot be read.
struct ParsedQuantity {
  double in_base = 0;
  Dimension dimension;
  std::string problem;
};

ParsedQuantity parse_quantity(std::string_view text);
std::string units_of(Dimension dimension);  // "B/s, GB/s, Gbit/s, ...": for error messages

// nullopt when text is not a finite quantity of dimension D.
template <Dimension D>
std::optional<Quantity<D>> parse(std::string_view text) {
  const ParsedQuantity parsed = parse_quantity(text);
  if (!parsed.problem.empty() || parsed.dimension != D) return std::nullopt;
  return parsed.in_base * Unit<D>{1.0};
}

std::string format(Seconds value);         // "13.1 s", "812 us"
std::string format(Bytes value);           // "148 GB"
std::string format(BytesPerSecond value);  // "4.8 TB/s"
std::string format(FlopsPerSecond value);  // "989 TFLOP/s"
std::string format(Flops value);           // "3.85 TFLOP"
std::string format(Hertz value);           // "1.98 GHz"
std::string format(Watts value);           // "700 W"
std::string format_count(long long value);  // "671,026,419,200"

}  // namespace moeline
