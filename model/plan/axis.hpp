// Which values does one varied field of a sweep take? Asked for by index, so that no list of points is ever made.
//
//   [16, 32, 64]  ["1 TB/s", "2 TB/s"]            a list: any JSON
//   "1..9"  "1..9+2"  "256..2048*2"                steps of one, of two, doublings; ends may carry one unit: "1 TB/s..8
//   TB/s*2"
//   {"from": 1, "to": 9, "scale": "log"}           a span: for random sampling, or with "steps" for a grid
// A span whose two ends are whole JSON numbers gives whole samples. Whole results are written as whole numbers.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "spec/json.hpp"
#include "spec/reader.hpp"

namespace moeline {

// from + i step, or from x factor^i.
struct SteppedRange {
  double from = 0, step = 0, factor = 1;
  std::uint64_t count = 0;
  std::string unit;
};

struct Span {
  double from = 0, to = 0;
  bool log = false, whole = false;
  std::uint64_t steps = 0;  // 0: only for sampling
  std::string unit;
};

class Axis {
 public:
  // `where` is "file#/vary/pointer" for messages.
  Axis(std::string pointer, const Json& values, const std::string& where);

  const std::string& pointer() const { return pointer_; }
  const std::string& where() const { return where_; }
  std::uint64_t count() const;            // 0: a span without steps has no countable values
  Json value(std::uint64_t index) const;  // index < count()
  Json sample(double share) const;        // 0 <= share < 1, along the list, the range or the span

 private:
  std::string pointer_, where_;
  std::variant<std::vector<Json>, SteppedRange, Span> values_;
};

}  // namespace moeline
