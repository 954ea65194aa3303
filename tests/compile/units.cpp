// What the unit types refuse. Compiled once per CASE by ctest: case 0 must compile, every other must not; the names of
// the cases stand in tests/CMakeLists.txt, in this order.
#include "units.hpp"

using namespace moeline;

constexpr Seconds kTime = 3.0 * second;
constexpr Bytes kData = 5.0 * byte;
constexpr BytesPerSecond kBandwidth = 2.0 * gigabyte_per_second;

#if CASE == 0  // the right form of each case below
constexpr Seconds kGood1 = 3.0 * second;
constexpr Bytes kGood2{5.0 * byte};
constexpr double kGood3 = kTime.in(second);
constexpr Seconds kGood4 = kTime + kData / kBandwidth;
constexpr Seconds kGood5 = kTime + 1.0 * second;
static_assert(kTime > kData / kBandwidth);
static_assert(kTime > 1.0 * second);
constexpr double kGood8 = kTime.in(microsecond);
constexpr double kGood9 = kBandwidth.in(gigabyte_per_second);
constexpr Seconds kGood10 = kData / kBandwidth;
constexpr FlopsPerSecond kGood11 = 1.0 * teraflop / kTime;
constexpr bool kGood12 = kTime > Seconds{} ? true : false;
constexpr double kGood13 = (1.0 * kilobyte) / (1.0 * byte);
#elif CASE == 1
constexpr Seconds kBad = 3.0;
#elif CASE == 2
constexpr Bytes kBad{5.0};
#elif CASE == 3
constexpr double kBad = kTime;
#elif CASE == 4
constexpr auto kBad = kTime + kData;
#elif CASE == 5
constexpr auto kBad = kTime + 1.0;
#elif CASE == 6
constexpr bool kBad = kTime < kData;
#elif CASE == 7
constexpr bool kBad = kTime < 3.0;
#elif CASE == 8
constexpr double kBad = kTime.in(byte);
#elif CASE == 9
constexpr double kBad = kBandwidth.in(gigabyte);
#elif CASE == 10
constexpr Seconds kBad = kData * kBandwidth;
#elif CASE == 11
constexpr FlopsPerSecond kBad = kData / kTime;
#elif CASE == 12
constexpr bool kBad = kTime ? true : false;
#elif CASE == 13
constexpr auto kBad = kilobyte / byte;
#endif
