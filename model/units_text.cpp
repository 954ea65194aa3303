#include "units_text.hpp"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cmath>
#include <span>

namespace moeline {
namespace {

constexpr Dimension kTime{.second = 1}, kData{.byte = 1}, kBandwidth{.second = -1, .byte = 1}, kWork{.flop = 1},
    kRate{.second = -1, .flop = 1}, kFrequency{.second = -1}, kPower{.second = -1, .joule = 1}, kEnergy{.joule = 1};

constexpr std::array kUnits{
    UnitText{"s", kTime, 1},
    UnitText{"ms", kTime, 1e-3},
    UnitText{"us", kTime, 1e-6},
    UnitText{"ns", kTime, 1e-9},
    UnitText{"min", kTime, 60},
    UnitText{"h", kTime, 3600},
    UnitText{"B", kData, 1},
    UnitText{"kB", kData, 1e3},
    UnitText{"MB", kData, 1e6},
    UnitText{"GB", kData, 1e9},
    UnitText{"TB", kData, 1e12},
    UnitText{"PB", kData, 1e15},
    UnitText{"KiB", kData, 1024.0},
    UnitText{"MiB", kData, 1048576.0},
    UnitText{"GiB", kData, 1073741824.0},
    UnitText{"TiB", kData, 1099511627776.0},
    UnitText{"B/s", kBandwidth, 1},
    UnitText{"kB/s", kBandwidth, 1e3},
    UnitText{"MB/s", kBandwidth, 1e6},
    UnitText{"GB/s", kBandwidth, 1e9},
    UnitText{"TB/s", kBandwidth, 1e12},
    UnitText{"PB/s", kBandwidth, 1e15},
    UnitText{"GiB/s", kBandwidth, 1073741824.0},
    UnitText{"bit/s", kBandwidth, 0.125},
    UnitText{"Mbit/s", kBandwidth, 1.25e5},
    UnitText{"Gbit/s", kBandwidth, 1.25e8},
    UnitText{"Tbit/s", kBandwidth, 1.25e11},
    UnitText{"FLOP", kWork, 1},
    UnitText{"MFLOP", kWork, 1e6},
    UnitText{"GFLOP", kWork, 1e9},
    UnitText{"TFLOP", kWork, 1e12},
    UnitText{"PFLOP", kWork, 1e15},
    UnitText{"FLOP/s", kRate, 1},
    UnitText{"GFLOP/s", kRate, 1e9},
    UnitText{"TFLOP/s", kRate, 1e12},
    UnitText{"PFLOP/s", kRate, 1e15},
    UnitText{"Hz", kFrequency, 1},
    UnitText{"kHz", kFrequency, 1e3},
    UnitText{"MHz", kFrequency, 1e6},
    UnitText{"GHz", kFrequency, 1e9},
    UnitText{"W", kPower, 1},
    UnitText{"kW", kPower, 1e3},
    UnitText{"MW", kPower, 1e6},
    UnitText{"J", kEnergy, 1},
    UnitText{"kWh", kEnergy, 3.6e6},
};

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

struct Scale {
  double in_base;
  const char* suffix;
};

// The largest scale that leaves at least one whole unit; `scales` runs from large to small.
std::string scaled(double base, std::span<const Scale> scales) {
  if (base == 0) return fmt::format("0 {}", scales.back().suffix);
  for (const Scale& scale : scales) {
    if (std::abs(base) >= scale.in_base * 0.99995 || &scale == &scales.back()) {
      const double value = base / scale.in_base;
      const bool beyond_scales = std::abs(value) >= 9999.5 && std::abs(value) < 1e15;  // 86400 s, not 8.64e+04 s
      return beyond_scales ? fmt::format("{:.0f} {}", value, scale.suffix)
                           : fmt::format("{:.4g} {}", value, scale.suffix);
    }
  }
  return {};
}

}  // namespace

ParsedQuantity parse_quantity(std::string_view text) {
  const std::string_view whole = trimmed(text);
  double value = 0;
  const auto [end, error] = std::from_chars(whole.data(), whole.data() + whole.size(), value);
  if (error == std::errc::result_out_of_range) return {.problem = "the number is out of range"};
  if (error != std::errc{} || !std::isfinite(value)) {
    return {.problem = "expected a number and a unit, such as \"4.8 TB/s\""};
  }
  const std::string_view unit = trimmed(whole.substr(static_cast<std::size_t>(end - whole.data())));
  if (unit.empty()) return {.problem = "the unit is missing, write for example \"4.8 TB/s\" or \"80 GiB\""};
  for (const UnitText& known : kUnits) {
    if (known.text == unit) {
      const double base = value * known.in_base;
      if (!std::isfinite(base)) return {.problem = "the number is out of range"};
      return {.in_base = base, .dimension = known.dimension, .problem = {}};
    }
  }
  return {.problem = fmt::format("unknown unit \"{}\"", unit)};
}

std::string units_of(Dimension dimension) {
  std::string list;
  for (const UnitText& known : kUnits) {
    if (known.dimension != dimension) continue;
    if (!list.empty()) list += ", ";
    list += known.text;
  }
  return list;
}

std::string format(Seconds value) {
  constexpr std::array scales{Scale{1, "s"}, Scale{1e-3, "ms"}, Scale{1e-6, "us"}, Scale{1e-9, "ns"}};
  return scaled(value.in(second), scales);
}
std::string format(Bytes value) {
  constexpr std::array scales{Scale{1e15, "PB"}, Scale{1e12, "TB"}, Scale{1e9, "GB"},
                              Scale{1e6, "MB"},  Scale{1e3, "kB"},  Scale{1, "B"}};
  return scaled(value.in(byte), scales);
}
std::string format(BytesPerSecond value) {
  constexpr std::array scales{Scale{1e15, "PB/s"}, Scale{1e12, "TB/s"}, Scale{1e9, "GB/s"},
                              Scale{1e6, "MB/s"},  Scale{1e3, "kB/s"},  Scale{1, "B/s"}};
  return scaled(value.in(byte_per_second), scales);
}
std::string format(FlopsPerSecond value) {
  constexpr std::array scales{Scale{1e15, "PFLOP/s"}, Scale{1e12, "TFLOP/s"}, Scale{1e9, "GFLOP/s"},
                              Scale{1, "FLOP/s"}};
  return scaled(value.in(flop_per_second), scales);
}
std::string format(Flops value) {
  constexpr std::array scales{Scale{1e15, "PFLOP"}, Scale{1e12, "TFLOP"}, Scale{1e9, "GFLOP"}, Scale{1e6, "MFLOP"},
                              Scale{1, "FLOP"}};
  return scaled(value.in(flop), scales);
}
std::string format(Hertz value) {
  constexpr std::array scales{Scale{1e9, "GHz"}, Scale{1e6, "MHz"}, Scale{1, "Hz"}};
  return scaled(value.in(hertz), scales);
}
std::string format(Watts value) {
  constexpr std::array scales{Scale{1e6, "MW"}, Scale{1e3, "kW"}, Scale{1, "W"}};
  return scaled(value.in(watt), scales);
}

std::string format_count(long long value) {
  std::string digits = std::to_string(value);
  for (int at = static_cast<int>(digits.size()) - 3; at > (value < 0 ? 1 : 0); at -= 3) {
    digits.insert(static_cast<std::size_t>(at), ",");
  }
  return digits;
}

}  // namespace moeline
