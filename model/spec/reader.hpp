// How is a JSON file read so that nothing in it is misread or silently ignored?
//
// Every key is asked for by name; at the end `finish()` rejects what was never asked for, with the nearest name that
// was. Errors name file and JSON pointer: `h200.json#/device/hmb_capacity: unknown key, did you mean "hbm_capacity"?`
// Dimensional values are strings with a unit. A fact is {"value": ..., "source": "..."}; without source it is an error.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <limits>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "error.hpp"
#include "units.hpp"
#include "units_text.hpp"

namespace moeline {

using Json = nlohmann::ordered_json;

// A number somebody published or, when inferred, how it was arrived at.
template <class T>
struct Fact {
  T value{};
  std::string source;
  bool inferred = false;
};

struct IntegerRange {
  std::int64_t low = std::numeric_limits<std::int64_t>::min();
  std::int64_t high = std::numeric_limits<std::int64_t>::max();
};
// Counts of things; 2^40 is above any real one and far below overflow of products that matter.
inline constexpr IntegerRange kPositive{1, std::int64_t{1} << 40};
inline constexpr IntegerRange kNonNegative{0, std::int64_t{1} << 40};

// Text -> JSON. `origin` is the file name for messages. Rejects: empty, binary, truncated, duplicate keys,
// nesting beyond 64, more than 16 MB (no scenario, profile or config comes near).
Json parse_json(std::string_view text, const std::string& origin);
std::string read_file(const std::string& path);  // SpecError if it cannot be read or is too large

// The closest of `candidates` within a third of the length; empty if none is near.
std::string nearest(std::string_view word, const std::vector<std::string>& candidates);
// `: unknown key, did you mean "x"?` - the shared tail of all such messages.
std::string did_you_mean(std::string_view word, const std::vector<std::string>& candidates);

class ObjectReader {
 public:
  // `where` is "file#/pointer". The JSON must outlive the reader, and so must every key that it is asked for.
  ObjectReader(const Json& json, std::string where);

  bool has(std::string_view key) const;        // present and not null; does not count as read
  std::string where(std::string_view key) const;
  [[noreturn]] void fail(std::string_view key, const std::string& what) const;

  const Json& any(std::string_view key);       // required, any type
  ObjectReader object(std::string_view key);
  std::vector<ObjectReader> objects(std::string_view key);  // an array of objects
  std::string string(std::string_view key);
  std::string one_of(std::string_view key, const std::vector<std::string>& names);
  std::int64_t integer(std::string_view key, IntegerRange range);
  double number(std::string_view key, double low, double high);  // dimensionless, inclusive bounds
  bool boolean(std::string_view key);
  std::vector<std::int64_t> integers(std::string_view key, IntegerRange range);
  std::vector<std::string> strings(std::string_view key);

  std::string string_or(std::string_view key, std::string fallback);
  std::int64_t integer_or(std::string_view key, IntegerRange range, std::int64_t fallback);
  double number_or(std::string_view key, double low, double high, double fallback);
  bool boolean_or(std::string_view key, bool fallback);

  // A positive quantity written with its unit.
  template <Dimension D>
  Quantity<D> quantity(std::string_view key) {
    return quantity_in_base(key, any(key), D) * Unit<D>{1.0};
  }
  template <Dimension D>
  Fact<Quantity<D>> fact(std::string_view key) {
    ObjectReader reader = object(key);
    Fact<Quantity<D>> fact{reader.quantity<D>("value"), reader.source(), reader.boolean_or("inferred", false)};
    reader.finish();
    return fact;
  }
  template <Dimension D>
  std::optional<Fact<Quantity<D>>> optional_fact(std::string_view key) {
    if (!has(key)) return skip(key), std::nullopt;
    return fact<D>(key);
  }
  Fact<std::int64_t> integer_fact(std::string_view key, IntegerRange range);
  Fact<double> number_fact_or(std::string_view key, double low, double high, const Fact<double>& fallback);
  Fact<std::string> string_fact(std::string_view key);

  void skip(std::string_view key);                            // known, and has no effect here
  void skip_all(std::initializer_list<std::string_view> keys);
  std::vector<std::string> keys() const;
  void finish();                                              // unknown keys are errors

  const Json& json() const { return *json_; }
  const std::string& where() const { return where_; }

 private:
  std::string source();
  std::vector<std::string> known() const;  // keys, each once
  double quantity_in_base(std::string_view key, const Json& json, Dimension dimension) const;

  const Json* json_;
  std::string where_;
  std::vector<std::string_view> asked_;  // some twice
};

}  // namespace moeline
