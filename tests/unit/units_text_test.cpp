#include "units_text.hpp"

#include <catch2/catch.hpp>
#include <limits>

using namespace moeline;
using Catch::Contains;
using Catch::WithinRel;

namespace {
constexpr Dimension kTime{.second = 1}, kData{.byte = 1}, kBandwidth{.second = -1, .byte = 1},
    kRate{.second = -1, .flop = 1}, kPower{.second = -1, .joule = 1};
}

TEST_CASE("a quantity is read with its unit", "[unit]") {
  CHECK_THAT(parse<kBandwidth>("4.8 TB/s")->in(byte_per_second), WithinRel(4.8e12));
  CHECK_THAT(parse<kBandwidth>("400 Gbit/s")->in(gigabyte_per_second), WithinRel(50.0));  // 400 / 8
  CHECK_THAT(parse<kData>("141 GB")->in(byte), WithinRel(141e9));
  CHECK_THAT(parse<kData>("80 GiB")->in(byte), WithinRel(80.0 * 1073741824));
  CHECK_THAT(parse<kTime>("3 us")->in(second), WithinRel(3e-6));
  CHECK_THAT(parse<kRate>("989 TFLOP/s")->in(flop_per_second), WithinRel(989e12));
  CHECK_THAT(parse<kPower>("23 kW")->in(watt), WithinRel(23e3));
  CHECK_THAT(parse<Dimension{.second = -1}>("1.98 GHz")->in(hertz), WithinRel(1.98e9));
  CHECK_THAT(parse<Dimension{.joule = 1}>("2 kWh")->in(joule), WithinRel(7.2e6));
}

TEST_CASE("spaces around and between number and unit do not matter", "[unit]") {
  CHECK(parse<kTime>("3us") == 3.0 * microsecond);
  CHECK(parse<kTime>("  3   us  ") == 3.0 * microsecond);
  CHECK(parse<kTime>("3e-6 s") == 3.0 * microsecond);
}

TEST_CASE("a number without unit is refused and the cure is named", "[unit]") {
  CHECK_THAT(parse_quantity("4.8").problem, Contains("unit is missing") && Contains("\"4.8 TB/s\""));
  CHECK_FALSE(parse<kTime>("3").has_value());
}

TEST_CASE("an unknown or misspelt unit is named", "[unit]") {
  CHECK(parse_quantity("4.8 Tb/s").problem == "unknown unit \"Tb/s\"");
  CHECK(parse_quantity("4.8 tb/s").problem == "unknown unit \"tb/s\"");
  CHECK(parse_quantity("4,8 TB/s").problem == "unknown unit \",8 TB/s\"");
  CHECK(parse_quantity("3 us us").problem == "unknown unit \"us us\"");
}

TEST_CASE("text that is no finite number is refused", "[unit]") {
  for (const char* text : {"", " ", "TB/s", "fast", "nan s", "inf s", "-inf s", "infinity B", "0x10 B", "--3 s", ". s"}) {
    INFO(text);
    CHECK_FALSE(parse_quantity(text).problem.empty());
  }
  CHECK(parse_quantity("1e999 s").problem == "the number is out of range");
  CHECK(parse_quantity("1e300 PB").problem == "the number is out of range");  // 1e315 bytes
}

TEST_CASE("a quantity of another dimension is not read", "[unit]") {
  CHECK_FALSE(parse<kTime>("3 GB").has_value());
  CHECK_FALSE(parse<kData>("3 GB/s").has_value());
  CHECK_FALSE(parse<kRate>("3 TFLOP").has_value());
}

TEST_CASE("a negative quantity can be written; who forbids it is the reader", "[unit]") {
  CHECK(parse<kTime>("-3 us") == -3.0 * microsecond);
}

TEST_CASE("the units of a dimension are listed for messages", "[unit]") {
  CHECK(units_of(kTime) == "s, ms, us, ns, min, h");
  CHECK(units_of(kPower) == "W, kW, MW");
  CHECK(units_of(Dimension{.token = 5}).empty());
}

TEST_CASE("a quantity is shown with four digits at the scale that reads best", "[unit]") {
  CHECK(format(13.1 * second) == "13.1 s");
  CHECK(format(812.0 * microsecond) == "812 us");
  CHECK(format(0.0123456 * second) == "12.35 ms");
  CHECK(format(148.0 * gigabyte) == "148 GB");
  CHECK(format(4.8 * terabyte_per_second) == "4.8 TB/s");
  CHECK(format(989.0 * teraflop_per_second) == "989 TFLOP/s");
  CHECK(format(3.85 * teraflop) == "3.85 TFLOP");
  CHECK(format(1.98 * gigahertz) == "1.98 GHz");
  CHECK(format(700.0 * watt) == "700 W");
  CHECK(format(23.0 * kilowatt) == "23 kW");
}

TEST_CASE("no text reads 1000 of one unit where 1 of the next would do, nor 0.9995 where 999.5 would", "[unit]") {
  CHECK(format(999.5 * gigabyte) == "999.5 GB");
  CHECK(format(999.97 * gigabyte) == "1 TB");
  CHECK(format(999.94 * gigabyte) == "999.9 GB");
  CHECK(format(999.999 * microsecond) == "1 ms");
}

TEST_CASE("zero, negative, tiny and huge quantities are readable", "[unit]") {
  CHECK(format(Bytes{}) == "0 B");
  CHECK(format(-2.0 * millisecond) == "-2 ms");
  CHECK(format(0.5 * nanosecond) == "0.5 ns");
  CHECK(format(0.5 * byte) == "0.5 B");
  CHECK(format(86400.0 * second) == "86400 s");
}

TEST_CASE("counts are grouped by thousands", "[unit]") {
  CHECK(format_count(0) == "0");
  CHECK(format_count(999) == "999");
  CHECK(format_count(1000) == "1,000");
  CHECK(format_count(671026419200) == "671,026,419,200");
  CHECK(format_count(-999) == "-999");
  CHECK(format_count(-1234567) == "-1,234,567");
  CHECK(format_count(std::numeric_limits<long long>::min()) == "-9,223,372,036,854,775,808");
}

TEST_CASE("what is shown can be read again", "[unit]") {
  for (const double seconds : {1e-9, 3.25e-6, 0.004, 12.5, 5000.0}) {
    CHECK_THAT(parse<kTime>(format(seconds * second))->in(second), WithinRel(seconds, 1e-3));
  }
  for (const double bytes : {1.0, 4096.0, 141e9, 2.5e15}) {
    CHECK_THAT(parse<kData>(format(bytes * byte))->in(byte), WithinRel(bytes, 1e-3));
  }
}
