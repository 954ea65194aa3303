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
#include <iterator>
#include <utility>

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

// Those algorithms on whole ranges that the model uses.
namespace ranges {
template <class Range, class Value, class Projection = identity>
constexpr auto find(Range& range, const Value& value, Projection projection = {}) {
  return find_if(std::begin(range), std::end(range), [&](const auto& item) { return invoke(projection, item) == value; });
}

template <class Range, class Less = std::less<>, class Projection = identity>
constexpr void sort(Range&& range, Less less = {}, Projection projection = {}) {
  std::sort(std::begin(range), std::end(range), [&](const auto& a, const auto& b) { return less(invoke(projection, a), invoke(projection, b)); });
}

template <class Range, class Less = std::less<>, class Projection = identity>
constexpr auto max(const Range& range, Less less = {}, Projection projection = {}) {
  return *max_element(std::begin(range), std::end(range), [&](const auto& a, const auto& b) { return less(invoke(projection, a), invoke(projection, b)); });
}

template <class Range>
constexpr auto minmax(const Range& range) {
  const auto [low, high] = minmax_element(std::begin(range), std::end(range));
  return pair{*low, *high};
}

template <class Range, class Out, class Function>
constexpr void transform(Range&& range, Out out, Function function) {
  std::transform(std::begin(range), std::end(range), out, function);
}

template <class One, class Two, class Equal, class ProjectOne, class ProjectTwo>
constexpr bool equal(const One& one, const Two& two, Equal, ProjectOne project_one, ProjectTwo project_two) {
  return std::equal(std::begin(one), std::end(one), std::begin(two), std::end(two),
                    [&](const auto& a, const auto& b) { return invoke(project_one, a) == invoke(project_two, b); });
}
}  // namespace ranges
}  // namespace std
// NOLINTEND(cert-dcl58-cpp)
#endif
