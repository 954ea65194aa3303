// What is a number worth without its unit? Nothing: so no number enters or leaves without naming one.
//
//   Bytes b = 4096.0 * kilobyte;  Seconds t = b / (4.8 * terabyte_per_second);  double us = t.in(microsecond);
//
// Quantity carries the exponents of time, data, arithmetic, tokens and energy in its type; values are held in
// SI base units (seconds, bytes, flop, tokens, joule). A ratio of equal dimensions is a plain double.
// Construction from a bare number is private: `Seconds t = 3.0` does not compile.
#pragma once

#include <compare>

namespace moeline {

// Exponents of the base units; {.second = -1, .byte = 1} is a bandwidth.
struct Dimension {
  int second = 0, byte = 0, flop = 0, token = 0, joule = 0;
  friend constexpr bool operator==(const Dimension&, const Dimension&) = default;
};

constexpr Dimension operator+(Dimension a, Dimension b) {
  return {a.second + b.second, a.byte + b.byte, a.flop + b.flop, a.token + b.token, a.joule + b.joule};
}
constexpr Dimension operator-(Dimension a, Dimension b) {
  return {a.second - b.second, a.byte - b.byte, a.flop - b.flop, a.token - b.token, a.joule - b.joule};
}

template <Dimension D>
class Quantity;

// A named unit: how many base units one of it is.
template <Dimension D>
struct Unit {
  double in_base;
};

template <Dimension D>
class Quantity {
 public:
  constexpr Quantity() = default;  // zero, whatever the unit

  constexpr double in(Unit<D> unit) const { return base_ / unit.in_base; }

  constexpr Quantity& operator+=(Quantity other) { return base_ += other.base_, *this; }
  constexpr Quantity& operator-=(Quantity other) { return base_ -= other.base_, *this; }
  constexpr Quantity& operator*=(double factor) { return base_ *= factor, *this; }

  friend constexpr Quantity operator+(Quantity a, Quantity b) { return Quantity(a.base_ + b.base_); }
  friend constexpr Quantity operator-(Quantity a, Quantity b) { return Quantity(a.base_ - b.base_); }
  friend constexpr Quantity operator-(Quantity a) { return Quantity(-a.base_); }
  friend constexpr Quantity operator*(double f, Quantity q) { return Quantity(f * q.base_); }
  friend constexpr Quantity operator*(Quantity q, double f) { return Quantity(f * q.base_); }
  friend constexpr Quantity operator/(Quantity q, double f) { return Quantity(q.base_ / f); }
  friend constexpr auto operator<=>(Quantity, Quantity) = default;

  template <Dimension E>
  constexpr auto operator*(Quantity<E> other) const {
    constexpr Dimension product = D + E;
    if constexpr (product == Dimension{}) {
      return base_ * other.base_;
    } else {
      return Quantity<product>(base_ * other.base_);
    }
  }
  template <Dimension E>
  constexpr auto operator/(Quantity<E> other) const {
    constexpr Dimension ratio = D - E;
    if constexpr (ratio == Dimension{}) {
      return base_ / other.base_;
    } else {
      return Quantity<ratio>(base_ / other.base_);
    }
  }
  friend constexpr auto operator/(double f, Quantity q) { return Quantity<Dimension{} - D>(f / q.base_); }

 private:
  template <Dimension>
  friend class Quantity;
  template <Dimension E>
  friend constexpr Quantity<E> operator*(double, Unit<E>);
  constexpr explicit Quantity(double base) : base_(base) {}

  double base_ = 0;
};

template <Dimension D>
constexpr Quantity<D> operator*(double value, Unit<D> unit) {
  return Quantity<D>(value * unit.in_base);
}
template <Dimension D>
constexpr Quantity<D> max(Quantity<D> a, Quantity<D> b) {
  return a < b ? b : a;
}
template <Dimension D>
constexpr Quantity<D> min(Quantity<D> a, Quantity<D> b) {
  return b < a ? b : a;
}

using Seconds = Quantity<Dimension{.second = 1}>;
using Bytes = Quantity<Dimension{.byte = 1}>;
using Flops = Quantity<Dimension{.flop = 1}>;
using Tokens = Quantity<Dimension{.token = 1}>;
using Joules = Quantity<Dimension{.joule = 1}>;
using Hertz = Quantity<Dimension{.second = -1}>;
using Watts = Quantity<Dimension{.second = -1, .joule = 1}>;
using BytesPerSecond = Quantity<Dimension{.second = -1, .byte = 1}>;
using FlopsPerSecond = Quantity<Dimension{.second = -1, .flop = 1}>;
using TokensPerSecond = Quantity<Dimension{.second = -1, .token = 1}>;

inline constexpr Unit<Dimension{.second = 1}> second{1}, millisecond{1e-3}, microsecond{1e-6}, nanosecond{1e-9};
inline constexpr Unit<Dimension{.byte = 1}> byte{1}, kilobyte{1e3}, megabyte{1e6}, gigabyte{1e9}, terabyte{1e12},
    kibibyte{1024}, mebibyte{1048576}, gibibyte{1073741824};
inline constexpr Unit<Dimension{.flop = 1}> flop{1}, gigaflop{1e9}, teraflop{1e12};
inline constexpr Unit<Dimension{.token = 1}> token{1};
inline constexpr Unit<Dimension{.joule = 1}> joule{1}, kilowatt_hour{3.6e6};
inline constexpr Unit<Dimension{.second = -1}> hertz{1}, gigahertz{1e9};
inline constexpr Unit<Dimension{.second = -1, .joule = 1}> watt{1}, kilowatt{1e3};
inline constexpr Unit<Dimension{.second = -1, .byte = 1}> byte_per_second{1}, gigabyte_per_second{1e9},
    terabyte_per_second{1e12}, gigabit_per_second{1.25e8};
inline constexpr Unit<Dimension{.second = -1, .flop = 1}> flop_per_second{1}, teraflop_per_second{1e12};
inline constexpr Unit<Dimension{.second = -1, .token = 1}> token_per_second{1};

}  // namespace moeline
