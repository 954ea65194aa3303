#include "units.hpp"

#include <catch2/catch.hpp>
#include <type_traits>

using namespace moeline;
using Catch::WithinRel;

// Facts the compiler can check by itself.
static_assert((50.0 * gigabyte) / (400.0 * gigabit_per_second) == 1.0 * second);
static_assert((1.0 * gibibyte).in(byte) == 1024.0 * 1024.0 * 1024.0);
static_assert((8.0 * gigabit_per_second).in(gigabyte_per_second) == 1.0);
static_assert(std::is_same_v<decltype(1.0 * byte / (1.0 * second)), BytesPerSecond>);
static_assert(std::is_same_v<decltype(1.0 * flop / (1.0 * second)), FlopsPerSecond>);
static_assert(std::is_same_v<decltype(1.0 / (1.0 * second)), Hertz>);
static_assert(std::is_same_v<decltype(1.0 * watt * (1.0 * second)), Joules>);
static_assert(std::is_same_v<decltype((1.0 * byte) / (1.0 * byte)), double>);
static_assert(std::is_same_v<decltype((1.0 * hertz) * (1.0 * second)), double>);
static_assert(Seconds{} == 0.0 * second);
static_assert(!std::is_constructible_v<Seconds, double>);
static_assert(!std::is_convertible_v<double, Seconds> && !std::is_convertible_v<Seconds, double>);
static_assert(!std::is_constructible_v<bool, Seconds>);
static_assert(sizeof(Seconds) == sizeof(double) && std::is_trivially_copyable_v<Seconds>);

TEST_CASE("a 400 Gbit/s link moves 50 GB in one second", "[unit]") {
  const Seconds time = 50.0 * gigabyte / (400.0 * gigabit_per_second);
  CHECK_THAT(time.in(second), WithinRel(1.0));  // 400e9 / 8 = 50e9 bytes per second
}

TEST_CASE("reading 141 GB at 4.8 TB/s takes 29.4 ms", "[unit]") {
  const Seconds time = 141.0 * gigabyte / (4.8 * terabyte_per_second);
  CHECK_THAT(time.in(millisecond), WithinRel(29.375));  // 141 / 4.8 = 29.375
}

TEST_CASE("a quantity comes out in the unit that is named", "[unit]") {
  const Seconds time = 1.5 * millisecond;
  CHECK_THAT(time.in(second), WithinRel(0.0015));
  CHECK_THAT(time.in(microsecond), WithinRel(1500.0));
  CHECK_THAT(time.in(nanosecond), WithinRel(1.5e6));
  CHECK_THAT((1.0 * kilowatt_hour).in(joule), WithinRel(3.6e6));
  CHECK_THAT((80.0 * gibibyte).in(gigabyte), WithinRel(85.899345920));  // 80 * 1.073741824
}

TEST_CASE("quantities of one dimension add, compare and scale", "[unit]") {
  Seconds time = 2.0 * second;
  time += 500.0 * millisecond;
  CHECK_THAT(time.in(second), WithinRel(2.5));
  time -= 1.0 * second;
  time *= 4;
  CHECK_THAT(time.in(second), WithinRel(6.0));
  CHECK_THAT((-time / 3).in(second), WithinRel(-2.0));
  CHECK(max(1.0 * kilobyte, 1.0 * kibibyte) == 1024.0 * byte);
  CHECK(min(1.0 * kilobyte, 1.0 * kibibyte) == 1000.0 * byte);
  CHECK(1.0 * gigabyte < 1.0 * gibibyte);
}

TEST_CASE("700 W for an hour are 0.7 kWh", "[unit]") {
  const Joules energy = 700.0 * watt * (3600.0 * second);
  CHECK_THAT(energy.in(kilowatt_hour), WithinRel(0.7));
}

TEST_CASE("work over rate is time and work over time is rate", "[unit]") {
  const Flops work = 2.0 * 4096 * 4096 * 4096 * flop;                 // 137.4 GFLOP
  const Seconds time = work / (989.4 * teraflop_per_second);          // 1.374389535e11 / 9.894e14
  CHECK_THAT(time.in(microsecond), WithinRel(138.9114, 1e-6));
  CHECK_THAT((work / time).in(teraflop_per_second), WithinRel(989.4));
}
