// What libc++ before 15 lacks of C++20, for the distribution's Emscripten: included before every file of the browser
// build, and empty with a newer library.
#pragma once

#include <charconv>
#include <compare>
#include <cstdlib>
#include <string>
#include <system_error>
#include <type_traits>

#if defined(_LIBCPP_VERSION) && _LIBCPP_VERSION < 15000
#include <algorithm>
#include <functional>

// NOLINTBEGIN(cert-dcl58-cpp): exactly the standard's own names
namespace std {
#ifndef __cpp_lib_bit_cast
template <class To, class From>
constexpr To bit_cast(const From& from) noexcept {
  return __builtin_bit_cast(To, from);
}
#endif

// The subset of JSON numbers, units and flags: decimal, no locale.
inline from_chars_result from_chars(const char* first, const char* last, double& value) {
  if (first == last || !(*first == '-' || *first == '.' || (*first >= '0' && *first <= '9'))) return {first, errc::invalid_argument};
  const string text(first, last);
  char* end = nullptr;
  const double read = strtod(text.c_str(), &end);
  if (end == text.c_str()) return {first, errc::invalid_argument};
  if (read > 1.7976931348623157e308 || read < -1.7976931348623157e308) return {first + (end - text.c_str()), errc::result_out_of_range};
  value = read;
  return {first + (end - text.c_str()), errc{}};
}

inline strong_ordering operator<=>(const string& a, const string& b) {
  const int order = a.compare(b);
  return order < 0 ? strong_ordering::less : order > 0 ? strong_ordering::greater : strong_ordering::equal;
}

namespace ranges {
template <class Range, class Value, class Projection>
constexpr auto find(Range& range, const Value& value, Projection projection) {
  return find_if(begin(range), end(range), [&](const auto& item) { return invoke(projection, item) == value; });
}
}  // namespace ranges
}  // namespace std
// NOLINTEND(cert-dcl58-cpp)
#endif
